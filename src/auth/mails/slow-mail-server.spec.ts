import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { newPerson, signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';

/** A slow mail server and the mails that it has received. */
class SlowPostbox {
  readonly bodies: string[] = [];
  readonly #server: SMTPServer;

  constructor({ dotMs = 0, ...options }: SMTPServerOptions & { readonly dotMs?: number }) {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['AUTH', 'STARTTLS'],
      onData: (stream, _session, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          this.bodies.push(Buffer.concat(chunks).toString());
          setTimeout(done, dotMs);
        });
      },
      ...options,
    });
  }

  async listen(): Promise<Record<string, string>> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.server.address() as { port: number };
    return { SMTP_SERVER: '127.0.0.1', SMTP_PORT: String(port), SMTP_TLS: 'off', EMAIL_FROM: 'coffer@example.org' };
  }

  code(): string {
    return /\b\d{6}\b/.exec(this.bodies.at(-1)?.split('\r\n\r\n')[1] ?? '')![0];
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

async function withServer(
  options: ConstructorParameters<typeof SlowPostbox>[0],
  use: (coffer: Coffer, postbox: SlowPostbox) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const postbox = new SlowPostbox({ closeTimeout: 500, ...options });
  const coffer = await startCoffer({ env: { ...(await postbox.listen()), ...env } });
  try {
    await use(coffer, postbox);
  } finally {
    await coffer.close();
    await postbox.close();
  }
}

describe('A mail server that answers the last line after 7 seconds', () => {
  it('gets one mail however often a code is asked for, and its code is good', async () => {
    await withServer({ dotMs: 7_000 }, async (coffer, postbox) => {
      const { person, client } = await signUp(coffer.client);
      const { username } = person;
      const asked = await Promise.all(Array.from({ length: 12 }, () => client.post('/send-otp', { username })));
      expect(asked.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 11 }, () => 429)]);
      expectProblem(await client.post('/send-otp', { username }), 429, 'too_many_attempts');
      expect(postbox.bodies.length).toBe(1);
      expectStatus(await client.post('/verify-otp', { username, otp: postbox.code() }), 200);
    });
  }, 120_000);
});

describe('A mail server that greets after 3 seconds', () => {
  it('gets the mail, and its code is good', async () => {
    await withServer({ onConnect: (_session, done) => void setTimeout(done, 3_000) }, async (coffer, postbox) => {
      const { person, client } = await signUp(coffer.client);
      const { username } = person;
      expectStatus(await client.post('/send-otp', { username }), 200);
      expectStatus(await client.post('/verify-otp', { username, otp: postbox.code() }), 200);
    });
  }, 120_000);
});

describe('A mail server that greets after 8 seconds', () => {
  it('gets the mail although its request has ended, and no second one', async () => {
    await withServer({ onConnect: (_session, done) => void setTimeout(done, 8_000) }, async (coffer, postbox) => {
      const { person, client } = await signUp(coffer.client);
      const { username } = person;
      const answer = await client.post('/send-otp', { username });
      expectProblem(answer, 503, 'mail_unavailable');
      expectProblem(await client.post('/send-otp', { username }), 429, 'too_many_attempts');
      await coffer.mails();
      expect(postbox.bodies.length).toBe(1);
      expectStatus(await client.post('/verify-otp', { username, otp: postbox.code() }), 200);
    });
  }, 120_000);
});

describe('A mail server that does not take a mail', () => {
  it.each([
    ['for good', 550, 1],
    ['for now', 451, 2],
  ] as const)(
    '%s (%i) is asked %i times while the request waits',
    async (_how, responseCode, tries) => {
      let asked = 0;
      const onRcptTo: SMTPServerOptions['onRcptTo'] = (_address, _session, done) => {
        asked += 1;
        if (asked < 2 || responseCode === 550) done(Object.assign(new Error('no'), { responseCode }));
        else done();
      };
      await withServer({ onRcptTo }, async (coffer, postbox) => {
        const { person, client } = await signUp(coffer.client);
        const answer = await client.post('/send-otp', { username: person.username });
        expect({ asked, mails: postbox.bodies.length, status: answer.status }).toEqual(
          responseCode === 550 ? { asked: tries, mails: 0, status: 503 } : { asked: tries, mails: 1, status: 200 },
        );
        // A failed mail does not count: the next request is served like the first.
        if (responseCode === 550) {
          expectProblem(await client.post('/send-otp', { username: person.username }), 503, 'mail_unavailable');
        }
      });
    },
    120_000,
  );
});

describe('The code of a registration that the mail server refuses', () => {
  it('does not count: registering again at once mails it, for a fresh address as for one that has an account', async () => {
    let asked = 0;
    const onRcptTo: SMTPServerOptions['onRcptTo'] = (_address, _session, done) => {
      asked += 1;
      if (asked % 2 === 1) done(Object.assign(new Error('no'), { responseCode: 550 }));
      else done();
    };
    const use = async (coffer: Coffer, postbox: SlowPostbox): Promise<void> => {
      const person = newPerson();
      const register = async (who: ReturnType<typeof newPerson>): Promise<void> => {
        expectStatus(await coffer.client.post('/register', who), 200);
        await coffer.mails();
      };
      await register(person);
      expect({ asked, mails: postbox.bodies.length }).toEqual({ asked: 1, mails: 0 });
      await register(person);
      expect({ asked, mails: postbox.bodies.length }).toEqual({ asked: 2, mails: 1 });
      const { email } = person;
      expectStatus(await coffer.client.post('/verify-registration', { email, otp: postbox.code() }), 200);
      const stranger = { ...newPerson(), email };
      await register(stranger);
      await register(stranger);
      expect({ asked, mails: postbox.bodies.length }).toEqual({ asked: 4, mails: 2 });
    };
    await withServer({ onRcptTo }, use, { EMAIL_VERIFICATION: 'required' });
  }, 120_000);
});
