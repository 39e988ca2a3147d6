import { createServer, Server } from 'node:net';
import { simpleParser } from 'mailparser';
import { SMTPServer, SMTPServerOptions } from 'smtp-server';
import { isDomainError } from '../kernel';
import { SmtpConfig, SmtpMailer } from './smtp-mailer';

const mail = { to: 'alice@example.org', subject: 'Your login code', text: 'Your login code: 123456\n' };

interface Received {
  readonly raw: string;
  readonly secure: boolean;
  readonly user: unknown;
}

class Postbox {
  readonly received: Received[] = [];
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
          this.received.push({ raw: Buffer.concat(chunks).toString(), secure: session.secure, user: session.user });
          done();
        });
      },
      ...options,
    });
    this.#server = server;
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.server.address() as { port: number }).port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())));
  }
}

const mailerFor = (port: number, change: Partial<SmtpConfig> = {}): SmtpMailer =>
  new SmtpMailer({
    kind: 'smtp',
    host: '127.0.0.1',
    port,
    login: undefined,
    from: 'Coffer <coffer@example.org>',
    tls: 'off',
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
    const mailer = mailerFor(port, { tls: 'required', login: { user: 'coffer', password: 'right' } });
    await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    expect({ received: postbox.received, asked }).toEqual({ received: [], asked: false });
  });

  it('is not sent to a server whose certificate nobody vouches for', async () => {
    const port = await postbox.listen();
    await expect(mailerFor(port, { tls: 'required' }).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    expect(postbox.received).toEqual([]);
  });

  it.each([
    ['a wrong login', 535, { login: { user: 'coffer', password: 'wrong' } }, {}],
    ['a refused recipient', 550, {}, { onRcptTo: refuse(550) }],
    ['a server that is busy', 451, {}, { onMailFrom: refuse(451) }],
  ] as const)(
    'answers mail_unavailable on %s, and says nothing of what was sent',
    async (_what, _code, change, server) => {
      const port = await postbox.listen({
        allowInsecureAuth: true,
        hideSTARTTLS: true,
        ...server,
      });
      const error: unknown = await mailerFor(port, change)
        .send(mail)
        .catch((fault: unknown) => fault);
      if (!isDomainError(error, 'mail_unavailable')) throw new Error('the mail was to be refused');
      const told = JSON.stringify([error.message, error.detail, String(error.cause), (error.cause as Error).stack]);
      expect(['123456', 'alice@example.org', 'wrong"'].filter((secret) => told.includes(secret))).toEqual([]);
    },
  );
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
    await expect(mailerFor(port).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });

  it('that takes the connection and stays silent is given up', async () => {
    const port = await listen(() => undefined);
    await expect(mailerFor(port).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
  });

  it('that hangs up is given up', async () => {
    const port = await listen((socket) => socket.destroy());
    await expect(mailerFor(port).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
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
    await expect(mailerFor(port).send(mail)).rejects.toMatchObject({ code: 'mail_unavailable' });
    await closed;
  });
});

function refuse(code: number) {
  return (_address: unknown, _session: unknown, done: (error: Error) => void): void =>
    done(Object.assign(new Error('alice@example.org is not welcome'), { responseCode: code }));
}
