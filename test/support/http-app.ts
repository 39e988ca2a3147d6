import { Global, Module, Type } from '@nestjs/common';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { connect } from 'node:net';
import { createAppOf } from '../../src/bootstrap/create-app';
import { CONFIG, Config, loadConfig } from '../../src/config';
import { ResponseSealer, drain, HttpModule, InFlight, Lifecycle, ServerLimits } from '../../src/http';
import {
  Authenticator,
  Clock,
  DomainError,
  MINUTE,
  Principal,
  ServiceAccount,
  SystemClock,
  SystemSecrets,
  scopesOf,
  UploadTickets,
} from '../../src/kernel';
import { Metrics } from '../../src/observability';
import { Store } from '../../src/store';
import { person } from './person';
import { FixedSecrets, temporaryAuthenticatedStore } from './sealed-store';

/**
 * The HTTP fixture with controllers of the test's own, on a real port and a real store, without the
 * features.
 */
export interface HttpApp {
  readonly url: string;
  readonly port: number;
  readonly app: NestFastifyApplication;
  readonly clock: MovableClock;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
  /** Ends as main does: in-flight requests first. */
  stop(graceMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface HttpAppOptions {
  readonly controllers: readonly Type[];
  readonly env?: Readonly<Record<string, string>>;
  readonly limits?: ServerLimits;
  readonly bodyTimeoutMs?: number;
  readonly bodyGraceMs?: number;
}

export class MovableClock extends SystemClock {
  offset = 0;
  override now(): number {
    return super.now() + this.offset;
  }
}

/**
 * Tokens are `<name>`, `<name>.stale` (a login 6 minutes ago), `admin` and `reader.service`, a
 * service that has `files:read` alone; `expired` and `ended` are refused as auth/ would.
 */
class NamedTokens extends Authenticator {
  constructor(private readonly clock: Clock) {
    super();
  }

  authenticate(token: string): Promise<Principal> {
    if (token === 'expired') return Promise.reject(new DomainError('token_expired'));
    if (token === 'ended') return Promise.reject(new DomainError('invalid_session'));
    const [name = '', age] = token.split('.');
    const authTime = this.clock.now() - (age === 'stale' ? 6 * MINUTE : 0);
    if (age === 'service') return Promise.resolve(reader(name, authTime));
    const scopes = scopesOf(name === 'admin' ? 'administrator' : 'user');
    return Promise.resolve(person(`id-of-${name}`, { username: name, scopes, authTime }));
  }
}

const reader = (name: string, authTime: number): ServiceAccount => ({
  kind: 'service-account',
  ownerId: `id-of-${name}`,
  actor: `id-of-${name}`,
  scopes: ['files:read'],
  authTime,
  requireStillAdmitted: () => Promise.resolve(),
});

/** Says whose answer it sealed, so that a test sees a mix-up. */
class LabelSealer extends ResponseSealer {
  seal(userId: string, id: string, answer: string): Promise<string> {
    return Promise.resolve(Buffer.from(`${userId}|${id}|${answer}`).toString('base64'));
  }

  open(userId: string, id: string, sealed: string): Promise<string> {
    const text = Buffer.from(sealed, 'base64').toString();
    if (!text.startsWith(`${userId}|${id}|`)) throw new DomainError('decryption_failed');
    return Promise.resolve(text.slice(userId.length + id.length + 2));
  }

  renew(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

export async function startHttpApp(options: HttpAppOptions): Promise<HttpApp> {
  const open = await temporaryAuthenticatedStore();
  const clock = new MovableClock();
  const env = { DATA_DIR: open.folder, ...options.env };
  const config = loadConfig({ newSecret: () => 'x'.repeat(43), env });
  const provided = [
    { provide: CONFIG, useValue: config },
    { provide: Clock, useValue: clock },
    { provide: Store, useValue: open.store },
    { provide: SystemSecrets, useClass: FixedSecrets },
    { provide: Authenticator, useValue: new NamedTokens(clock) },
    { provide: UploadTickets, useValue: { isTicket: () => false } },
    { provide: ResponseSealer, useClass: LabelSealer },
    Metrics,
  ];

  @Global()
  @Module({ providers: provided, exports: provided })
  class PartsModule {}

  @Module({ imports: [PartsModule, HttpModule], controllers: [...options.controllers] })
  class TestModule {}

  const app = await create(TestModule, config, options);
  await open.store.prepare();
  app.get(Lifecycle).started();
  const server = app.getHttpServer();
  const inFlight = app.get(InFlight);
  inFlight.watch(server);
  await app.listen(0, '127.0.0.1');
  const { port } = server.address() as { port: number };
  let closing: Promise<void> | undefined;
  const stop = (graceMs = 5000): Promise<void> => {
    app.get(Lifecycle).stop();
    closing ??= drain(server, inFlight, graceMs)
      .then(() => app.close())
      .then(() => open.close());
    return closing;
  };
  const parts = { app, clock, lifecycle: app.get(Lifecycle), metrics: app.get(Metrics) };
  return { url: `http://127.0.0.1:${port}`, port, ...parts, stop, close: () => stop(0) };
}

function create(root: Type, config: Config, options: HttpAppOptions): Promise<NestFastifyApplication> {
  const { limits, bodyTimeoutMs, bodyGraceMs } = options;
  const tuning = { ...(bodyTimeoutMs && { bodyTimeoutMs }), ...(bodyGraceMs && { bodyGraceMs }) };
  return createAppOf(root, config, { logger: false, tuning, ...(limits && { limits }) });
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends bytes as they are and reads until the server closes: for what no HTTP client would send.
 */
export async function sendRaw(port: number, bytes: string): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes, 'latin1');
  await new Promise<void>((resolve) => {
    socket
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve());
  });
  socket.destroy();
  return parseAnswer(Buffer.concat(chunks).toString('latin1'));
}

export function parseAnswer(text: string): RawAnswer {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
  const [line = '', ...rest] = head.split('\r\n');
  const headers = rest.map((entry) => [
    entry.slice(0, entry.indexOf(':')).toLowerCase(),
    entry.slice(entry.indexOf(':') + 1).trim(),
  ]);
  return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(headers) as Record<string, string>, body };
}
