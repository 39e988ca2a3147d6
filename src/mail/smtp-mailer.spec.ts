import { readFileSync } from 'node:fs';
import { createServer, Server } from 'node:net';
import { join } from 'node:path';
import { simpleParser } from 'mailparser';
import { SMTPServer, SMTPServerOptions } from 'smtp-server';
import { waitFor } from '../../test/support/processes';
import { isDomainError } from '../kernel';
import { SmtpConfig, SmtpMailer } from './smtp-mailer';

const mail = { to: 'alice@example.org', subject: 'Your login code', text: 'Your login code: 123456\n' };

interface Received {
  readonly raw: string;
  readonly secure: boolean;
  readonly user: unknown;
  readonly hello: string;
  readonly from: string | undefined;
}

class Postbox {
  readonly received: Received[] = [];
  /** What the server does once it has the mail. */
  answer = (done: (error?: Error) => void): void => done();
  #server: SMTPServer | undefined;

  async listen(options: SMTPServerOptions = {}): Promise<number> {
    const server = new SMTPServer({
      authOptional: true,
      logger: false,
      onAuth: ({ username, password }, _session, done) =>
        password === 'right' ? done(null, { user: username }) : done(new Error('no')),
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const { mailFrom } = session.envelope;
          this.received.push({
            raw: Buffer.concat(chunks).toString(),
            secure: session.secure,
            user: session.user,
            hello: session.hostNameAppearsAs,
            from: mailFrom === false ? undefined : mailFrom.address,
          });
          this.answer(done);
        });
      },
      ...options,
    });
    this.#server = server;
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.server.address() as { port: number }).port;
  }

  eachConnection(seen: (connection: { close(): void }) => void): void {
    const server = this.#server as unknown as { connections: Set<{ close(): void }> };
    this.#server?.server.on('connection', () => setImmediate(() => server.connections.forEach(seen)));
  }

  close(): Promise<void> {
    return new Promise((resolve) => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())));
  }
}

const TLS = join(__dirname, '../../test/support/tls');
const WRONG_LOGIN = { login: { user: 'coffer', password: 'wrong' } };

const mailerFor = (port: number, change: Partial<SmtpConfig> = {}): SmtpMailer =>
  new SmtpMailer({
    kind: 'smtp',
    host: '127.0.0.1',
    port,
    login: undefined,
    from: Object.freeze({ name: 'Coffer', address: 'coffer@example.org' }),
    tls: 'off',
    timeoutMs: 30_000,
    clientName: 'vault.example.org',
    ...change,
  });

describe('Mail by SMTP', () => {
  let postbox: Postbox;
  beforeEach(() => {
    postbox = new Postbox();
  });
  afterEach(() => postbox.close());

  it('is received as it was sent', async () => {
    await mailerFor(await postbox.listen({ disabledCommands: ['STARTTLS', 'AUTH'] })).send(mail);
    const parsed = await simpleParser(postbox.received[0]!.raw);
    expect(parsed.subject).toBe(mail.subject);
    expect(parsed.text?.trim()).toBe(mail.text.trim());
    expect(parsed.headers.get('auto-submitted')).toBe('auto-generated');
  });

  it('logs in where a login is configured', async () => {
    const port = await postbox.listen({ allowInsecureAuth: true, hideSTARTTLS: true });
    await mailerFor(port, { login: { user: 'coffer', password: 'right' } }).send(mail);
    expect(postbox.received[0]?.user).toBe('coffer');
  });

  it('is not sent in clear, nor is the password, where TLS is required and STARTTLS is not offered', async () => {
    let asked = false;
    const port = await postbox.listen({
      hideSTARTTLS: true,
      allowInsecureAuth: true,
      disabledCommands: ['STARTTLS'],
      onAuth: (_auth, _session, done) => {
        asked = true;
        done(null, { user: 'x' });
      },
    });
    const mailer = mailerFor(port, { tls: 'starttls', login: { user: 'coffer', password: 'right' } });
    await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    expect({ received: postbox.received, asked }).toEqual({ received: [], asked: false });
  });

  it('is not sent to a server whose certificate nobody vouches for', async () => {
    const port = await postbox.listen();
    await expect(mailerFor(port, { tls: 'starttls' }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    expect(postbox.received).toEqual([]);
  });

  it('says the name of the configuration and never an address of this machine', async () => {
    await mailerFor(await postbox.listen()).send(mail);
    expect(postbox.received[0]?.hello).toBe('vault.example.org');
  });

  it.each(['IT: Vault', 'Vault (Prod)', 'Vault, Inc.', 'M\u00fcller & S\u00f6hne', 'a;b <c@d.org>', 'say "hi"'])(
    'comes from %s, as the name is set',
    async (name) => {
      await mailerFor(await postbox.listen(), { from: { name, address: 'vault@b\u00fccher.example' } }).send(mail);
      const [received] = postbox.received;
      expect(received?.from).toMatch(/^vault@(xn--bcher-kva|b\u00fccher)\.example$/);
      const parsed = await simpleParser(received!.raw);
      expect(parsed.from?.value.map((sender) => sender.name)).toEqual([name]);
      expect(parsed.from?.value[0]?.address).toMatch(/^vault@(xn--bcher-kva|b\u00fccher)\.example$/);
    },
  );

  it('goes over TLS from the first byte on any port, where SMTP_TLS is implicit', async () => {
    const [key, cert] = ['key', 'cert'].map((part) => readFileSync(join(TLS, `server-${part}.pem`)));
    const port = await postbox.listen({ secure: true, key: key!, cert: cert! });
    const refused = mailerFor(port, { tls: 'implicit' }).send(mail);
    await expect(refused).rejects.toMatchObject({ reason: expect.stringContaining('certificate is not trusted') });
    await expect(mailerFor(port, { tls: 'starttls', timeoutMs: 1_000 }).send(mail)).rejects.toThrow();
  });

  it.each([
    ['a wrong login', 'refused', 'the login (SMTP_USERNAME, SMTP_PASSWORD) was answered 535', WRONG_LOGIN, {}],
    ['a refused recipient', 'refused', 'RCPT TO was answered 550', {}, { onRcptTo: refuse(550) }],
    ['a server that is busy', 'deferred', 'MAIL FROM was answered 451', {}, { onMailFrom: refuse(451) }],
  ] as const)(
    'answers mail_unavailable on %s, says why, and nothing of what was sent',
    async (_what, fault, reason, change, server) => {
      const port = await postbox.listen({
        allowInsecureAuth: true,
        hideSTARTTLS: true,
        ...server,
      });
      const error: unknown = await mailerFor(port, change)
        .send(mail)
        .catch((fault: unknown) => fault);
      if (!isDomainError(error, 'mail_unavailable')) throw new Error('the mail was to be refused');
      expect(error).toMatchObject({ fault, reason: expect.stringContaining(reason) });
      const told = JSON.stringify([error.message, error.detail, String(error.cause), (error.cause as Error).stack]);
      expect(['123456', 'alice@example.org', 'wrong"'].filter((secret) => told.includes(secret))).toEqual([]);
    },
  );
});

/** Client and server are real; the server delays one step. */
describe('A mail server that takes its time', () => {
  const postbox = new Postbox();
  afterEach(() => postbox.close());

  it('to greet gets the mail all the same', async () => {
    const port = await postbox.listen({ onConnect: (_session, done) => void setTimeout(done, 3_000) });
    await mailerFor(port).send(mail);
    expect(postbox.received.length).toBe(1);
  });

  it.each([
    [
      'is aborted',
      (mailer: SmtpMailer, stop: AbortController) =>
        mailer.send(mail, { handedOver: () => stop.abort(), signal: stop.signal }),
    ],
    ['is not answered in time', (mailer: SmtpMailer) => mailer.send(mail)],
  ])('over the last line has the mail: one that %s counts as sent', async (_what, send) => {
    postbox.received.length = 0;
    postbox.answer = () => undefined;
    await send(mailerFor(await postbox.listen({ closeTimeout: 100 }), { timeoutMs: 2_000 }), new AbortController());
    await waitFor('the mail', () => Promise.resolve(postbox.received.length === 1));
  });

  it('over the last line, and then hangs up, has the mail', async () => {
    postbox.received.length = 0;
    const connections: { close(): void }[] = [];
    const port = await postbox.listen({});
    postbox.answer = () => connections.forEach((connection) => connection.close());
    postbox.eachConnection((connection) => connections.push(connection));
    await mailerFor(port).send(mail);
    expect(postbox.received.length).toBe(1);
  });

  it.each([
    [451, 'deferred'],
    [554, 'refused'],
  ])('and answers the last line with %i has not got it: %s', async (responseCode, fault) => {
    postbox.answer = (done) => done(Object.assign(new Error('alice@example.org'), { responseCode }));
    const sending = mailerFor(await postbox.listen()).send(mail);
    await expect(sending).rejects.toMatchObject({ fault, reason: `DATA was answered ${responseCode}` });
  });

  it('before the last line, until the try is aborted, has not got it', async () => {
    const port = await postbox.listen({ onConnect: () => undefined, closeTimeout: 100 });
    const sending = mailerFor(port).send(mail, { signal: AbortSignal.timeout(300) });
    await expect(sending).rejects.toMatchObject({ fault: 'unreachable' });
  });
});

describe('A mail server that is not well', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  async function listen(onConnection: Parameters<typeof createServer>[1]): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      onConnection?.(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as { port: number }).port;
  }

  it('that does not listen answers mail_unavailable', async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    await expect(mailerFor(port, { timeoutMs: 1_500 }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });

  it('that takes the connection and stays silent is given up', async () => {
    const port = await listen(() => undefined);
    await expect(mailerFor(port, { timeoutMs: 1_500 }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });

  it('that hangs up is given up', async () => {
    const port = await listen((socket) => socket.destroy());
    await expect(mailerFor(port, { timeoutMs: 1_500 }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });

  it('that answers one byte at a time is cut off, connection and all', async () => {
    let closed: Promise<void> | undefined;
    const port = await listen((socket) => {
      socket.write('220-');
      const drip = setInterval(() => socket.write('x'), 200);
      closed = new Promise((resolve) =>
        socket.on('close', () => {
          clearInterval(drip);
          resolve();
        }),
      );
    });
    await expect(mailerFor(port, { timeoutMs: 1_500 }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    await closed;
  });
});

function refuse(code: number) {
  return (_address: unknown, _session: unknown, done: (error: Error) => void): void =>
    done(Object.assign(new Error('alice@example.org is not welcome'), { responseCode: code }));
}
