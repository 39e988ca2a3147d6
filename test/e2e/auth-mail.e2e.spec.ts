import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import { login, newPerson, signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { freePort, waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';

const CERTIFICATE = join(__dirname, '../support/tls/server-cert.pem');
const KEY = join(__dirname, '../support/tls/server-key.pem');

interface Letter {
  readonly to: string | undefined;
  readonly text: string;
  readonly secure: boolean;
  readonly user: unknown;
}

// A first start builds, and a machine under load takes its time for that.
jest.setTimeout(180_000);

class Postbox {
  readonly letters: Letter[] = [];
  readonly server: SMTPServer;

  constructor({ secure = false } = {}) {
    this.server = new SMTPServer({
      secure,
      key: readFileSync(KEY),
      cert: readFileSync(CERTIFICATE),
      onAuth: ({ username, password }, _session, done) =>
        password === 'smtp password' ? done(null, { user: username }) : done(new Error('refused')),
      onData: (stream, session, done) => {
        void simpleParser(stream).then((mail) => {
          const to = session.envelope.rcptTo[0]?.address;
          this.letters.push({ to, text: mail.text ?? '', secure: session.secure, user: session.user });
          done();
        });
      },
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.port;
  }

  get port(): number {
    return (this.server.server.address() as { port: number }).port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  code(address: string): Promise<string> {
    return waitFor(`a mail to ${address}`, () => {
      const letter = this.letters.filter(({ to }) => to === address).at(-1);
      return Promise.resolve(/\b\d{6}\b/.exec(letter?.text ?? '')?.[0]);
    });
  }
}

const smtp = (port: number): Record<string, string> => ({
  SMTP_SERVER: '127.0.0.1',
  SMTP_PORT: String(port),
  EMAIL_FROM: 'coffer@example.org',
});

describe('Mail over SMTP', () => {
  let postbox: Postbox;
  let service: Service;
  let client: Client;
  beforeAll(async () => {
    postbox = new Postbox();
    const login = { SMTP_USERNAME: 'coffer', SMTP_PASSWORD: 'smtp password', NODE_EXTRA_CA_CERTS: CERTIFICATE };
    service = await startService({ env: { ...smtp(await postbox.listen()), ...login } });
    client = new Client(service.url);
  });
  afterAll(async () => {
    await service.dispose();
    await postbox.close();
  });

  it('goes out over STARTTLS, logged in, and its code completes a login', async () => {
    const { person, client: session } = await signUp(client);
    const { username, email } = person;
    expectStatus(await session.post('/send-otp', { username }), 200);
    expectStatus(await session.post('/verify-otp', { username, otp: await postbox.code(email) }), 200);
    const sent = postbox.letters.length;
    const first = (await login(client, person)) as unknown as { mfa_token: string };
    await waitFor('the mail of the login', () => Promise.resolve(postbox.letters.length > sent));
    const otp = await postbox.code(email);
    expectStatus(await client.post('/verify-otp', { username, mfa_token: first.mfa_token, otp }), 200);
    expect(new Set(postbox.letters.map(({ secure, user }) => `${secure} ${String(user)}`))).toEqual(
      new Set(['true coffer']),
    );
  });

  it('goes out over TLS from the first byte on any port, where SMTP_TLS is implicit', async () => {
    const implicit = new Postbox({ secure: true });
    await service.restart({ SMTP_PORT: String(await implicit.listen()), SMTP_TLS: 'implicit' });
    const { person, client: session } = await signUp(client);
    expectStatus(await session.post('/send-otp', { username: person.username }), 200);
    expect(implicit.letters).toMatchObject([{ to: person.email, secure: true, user: 'coffer' }]);
    await service.restart({ SMTP_PORT: String(postbox.port), SMTP_TLS: undefined });
    await implicit.close();
  });

  it('leaves neither address nor code nor password in the log', async () => {
    const { person, client: session } = await signUp(client);
    await session.post('/send-otp', { username: person.username });
    const secrets = [person.email, await postbox.code(person.email), 'smtp password'];
    expect(secrets.filter((secret) => service.logs().includes(secret))).toEqual([]);
  });
});

describe('With a mail server that is down', () => {
  let service: Service;
  let client: Client;
  beforeAll(async () => {
    const port = await freePort();
    service = await startService({ env: { ...smtp(port), EMAIL_VERIFICATION: 'off' } });
    client = new Client(service.url);
  });
  afterAll(() => service.dispose());

  it('POST /send-otp answers 503 with a time to come back, and a retry is not held up by the pause between mails', async () => {
    const { person, client: session } = await signUp(client);
    for (let count = 0; count < 2; count += 1) {
      const answer = await session.post('/send-otp', { username: person.username });
      expectProblem(answer, 503, 'mail_unavailable');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(answer.text).not.toContain(person.email);
    }
    const why = 'did not take a mail: the connection is refused (ECONNREFUSED)';
    await waitFor('the reason in the log', () => Promise.resolve(service.logs().includes(why)));
  });

  it('logs nobody in without the code, and says that none was sent', async () => {
    await service.restart({ REQUIRE_2FA: 'email' });
    const person = newPerson();
    expectStatus(await client.post('/register', person), 200);
    const first = (await login(client, person)) as unknown as Record<string, unknown>;
    expect(first).toMatchObject({ message: '2FA required', methods: ['email'], otp_sent: false });
    const { username } = person;
    const send = await client.post('/send-otp', { username, mfa_token: first['mfa_token'] });
    expectProblem(send, 503, 'mail_unavailable');
  });

  it('answers a registration that has to be confirmed as ever', async () => {
    await service.restart({ EMAIL_VERIFICATION: 'required', REQUIRE_2FA: 'off' });
    const answer = await client.post('/register', newPerson());
    expect(expectStatus(answer, 200)).toEqual({ message: 'registration_pending' });
  });
});

describe('With a mail server that takes connections and stays silent', () => {
  const open: Socket[] = [];
  let silent: Server;
  let service: Service;
  beforeAll(async () => {
    silent = createServer((socket) => {
      open.push(socket);
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    service = await startService({ env: smtp((silent.address() as { port: number }).port) });
  });
  afterAll(async () => {
    await service.dispose();
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  it('gives up, says so, and keeps serving everybody else meanwhile', async () => {
    const client = new Client(service.url);
    const { person, client: session } = await signUp(client);
    const sending = session.post('/send-otp', { username: person.username });
    expectStatus(await session.get('/me'), 200);
    expectProblem(await sending, 503, 'mail_unavailable');
  });
});
