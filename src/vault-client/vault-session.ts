import { Logger } from '@nestjs/common';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VaultConfig } from '../config';
import { SECOND, StartupError, stretched } from '../kernel';
import type { VaultFigures } from '../observability';
import { CircuitBreaker } from './circuit-breaker';
import { newDeadline, operationDeadline } from './operation-deadline';
import { TokenRenewer } from './token-renewer';
import {
  isTooSlow,
  LAGS_BEHIND,
  unavailable,
  VaultApi,
  VaultCall,
  VaultReply,
  VaultTransport,
  VaultUnavailable,
} from './vault-api';

const LOGIN_MS = 1_000;
// A token that is fresh and refused all the same lacks a policy: to log in again for each such
// request would only load Vault.
const FORBIDDEN_MS = 10 * SECOND;

/** How long a node that lags behind is given before it is asked once more. */
const LAG_MS = 100;

interface Request extends Pick<VaultCall, 'method' | 'path' | 'body'> {
  /**
   * A part of background work that is asked for again in smaller parts: that it takes too long is
   * no outage yet.
   */
  readonly isBulk?: boolean;
}

/**
 * Requests under a token that is kept alive. On 403 the token is taken for dead: one new login,
 * shared by all that wait, and one more try.
 */
export class VaultSession {
  readonly #logger = new Logger('Vault');
  readonly #renewer: TokenRenewer;
  readonly #breaker = new CircuitBreaker(
    () => this.#probe(),
    (error) => (error instanceof VaultUnavailable ? error.told : undefined),
  );
  #token: string | undefined;
  /**
   * The state of Vault's storage after the last write of this process, where the server says it.
   */
  #index: string | undefined;
  #login: Promise<string> | undefined;
  #forbidden: { readonly token: string; readonly until: number } | undefined;

  constructor(
    private readonly api: VaultApi,
    private readonly credentials: VaultConfig['login'],
    private readonly figures?: VaultFigures,
  ) {
    this.#renewer = new TokenRenewer({ renew: () => this.#renew(), replace: () => this.#replace() });
  }

  /**
   * @throws StartupError where Vault does not take the credentials; DomainError `kms_unavailable`
   * where it does not answer.
   */
  async open(): Promise<void> {
    try {
      await this.#freshToken();
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
      const names = 'token' in this.credentials ? 'VAULT_TOKEN' : 'VAULT_ROLE_ID and VAULT_SECRET_ID';
      throw new StartupError(`Vault does not accept ${names}.`);
    }
  }

  /**
   * The answer to one request. Of a refusal (4xx) the caller makes what it means for it.
   * @throws DomainError `kms_unavailable`.
   */
  async request(request: Request): Promise<VaultReply> {
    if (this.#breaker.open) throw unavailable('open circuit', this.#breaker.retryAfterSeconds);
    const deadline = operationDeadline();
    // Earlier requests of the same operation took all of its time, and were answered: that alone
    // opens no circuit.
    if (deadline <= performance.now()) throw unavailable('no time left');
    try {
      const reply = await this.#withToken(request, deadline);
      this.#breaker.succeeded();
      return reply;
    } catch (error) {
      if (error instanceof VaultUnavailable) {
        if (request.isBulk !== true || !isTooSlow(error)) this.#breaker.failed(error.told);
        this.#logger.warn(`${request.path}: ${error.reason}`);
      }
      throw error;
    }
  }

  close(): void {
    this.#renewer.stop();
    this.#breaker.stop();
    this.api.close();
    this.#token = undefined;
  }

  /** Goes the whole way of a request, login included, to something that every token may ask. */
  async #probe(): Promise<void> {
    await this.#withToken({ method: 'GET', path: 'auth/token/lookup-self' }, newDeadline());
  }

  async #withToken(request: Request, deadline: number): Promise<VaultReply> {
    const token = this.#token ?? (await within(this.#freshToken(), deadline));
    const reply = await this.#send(request, token, deadline);
    if (reply.status !== 403 || this.#isForbidden(token)) return reply;
    const next = await within(this.#tokenAfter(token), deadline);
    if (next === undefined) return reply;
    const again = await this.#send(request, next, deadline);
    if (again.status === 403) this.#forbidden = { token: next, until: performance.now() + FORBIDDEN_MS };
    return again;
  }

  /**
   * Once more after a pause where the node lags behind. Reads after a write of this process are not
   * served from before it.
   */
  async #send({ isBulk: _, ...request }: Request, token: string, deadline: number): Promise<VaultReply> {
    const call = (): Promise<VaultReply> =>
      this.api.call({ ...request, token, index: this.#index, timeoutMs: deadline - performance.now() });
    let reply = await call();
    if (reply.status === LAGS_BEHIND) {
      await sleep(LAG_MS, undefined, { ref: false });
      reply = await call();
    }
    if (reply.status === LAGS_BEHIND) {
      // A Vault that was restored from a snapshot may never come to that state again.
      this.#index = undefined;
      throw unavailable(`status ${LAGS_BEHIND}`);
    }
    if (request.method === 'POST') this.#index = reply.index ?? this.#index;
    return reply;
  }

  #isForbidden(token: string): boolean {
    return this.#forbidden?.token === token && performance.now() < this.#forbidden.until;
  }

  /** Another request may have logged in since `dead` was read: then its token serves. */
  #tokenAfter(dead: string): Promise<string | undefined> {
    if (this.#token !== undefined && this.#token !== dead) return Promise.resolve(this.#token);
    return 'token' in this.credentials ? Promise.resolve(undefined) : this.#freshToken();
  }

  /** Single-flight: whoever comes while a login is running waits for that one. */
  #freshToken(): Promise<string> {
    this.#login ??= this.#logIn().finally(() => (this.#login = undefined));
    return this.#login;
  }

  async #logIn(): Promise<string> {
    const { credentials } = this;
    const issued = 'token' in credentials ? await this.#lookUp(credentials.token) : await this.#appRole(credentials);
    this.#token = issued.token;
    this.#renewer.watch(issued);
    this.figures?.setTokenLife(issued.seconds);
    return issued.token;
  }

  async #appRole(role: { readonly roleId: string; readonly secretId: string }): Promise<IssuedToken> {
    const body = { role_id: role.roleId, secret_id: role.secretId };
    const reply = await this.api.call({
      method: 'POST',
      path: 'auth/approle/login',
      body,
      timeoutMs: stretched(LOGIN_MS),
    });
    const issued = issuedToken(reply);
    if (issued === undefined) throw this.#loginRefused(reply);
    this.#logger.log('logged in by AppRole');
    return issued;
  }

  /** A token that was given to us: how long it lives. */
  async #lookUp(token: string): Promise<IssuedToken> {
    const reply = await this.api.call({
      method: 'GET',
      path: 'auth/token/lookup-self',
      token,
      timeoutMs: stretched(LOGIN_MS),
    });
    if (reply.status !== 200) throw this.#loginRefused(reply);
    const { ttl, renewable } = (reply.body.data ?? {}) as { ttl?: unknown; renewable?: unknown };
    return { token, seconds: typeof ttl === 'number' ? ttl : 0, renewable: renewable === true };
  }

  #loginRefused(reply: VaultReply): LoginRefused {
    this.#logger.error(`login refused with status ${reply.status}`);
    return new LoginRefused(`login refused with status ${reply.status}`);
  }

  async #renew(): Promise<IssuedToken | undefined> {
    const token = this.#token;
    if (token === undefined) return undefined;
    const issued = issuedToken(
      await this.api.call({ method: 'POST', path: 'auth/token/renew-self', token, timeoutMs: stretched(LOGIN_MS) }),
    );
    if (issued !== undefined) this.figures?.setTokenLife(issued.seconds);
    return issued;
  }

  async #replace(): Promise<void> {
    if ('token' in this.credentials) this.#logger.error('VAULT_TOKEN cannot be renewed any more: set a new one');
    else await this.#freshToken();
  }
}

class LoginRefused extends VaultUnavailable {}

interface IssuedToken {
  readonly token: string;
  readonly seconds: number;
  readonly renewable: boolean;
}

function issuedToken(reply: VaultReply): IssuedToken | undefined {
  const auth = (reply.body.auth ?? {}) as { client_token?: unknown; lease_duration?: unknown; renewable?: unknown };
  if (reply.status !== 200 || typeof auth.client_token !== 'string') return undefined;
  const seconds = typeof auth.lease_duration === 'number' ? auth.lease_duration : 0;
  return { token: auth.client_token, seconds, renewable: auth.renewable === true };
}

/**
 * A login that others wait for goes on; this request waits for it no longer than its own time
 * allows.
 */
async function within<T>(work: Promise<T>, deadline: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unavailable('no login in time')), Math.max(1, deadline - performance.now()));
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * One login, one renewer and one breaker for all that a process keeps in Vault. Nothing is sent
 * yet.
 * @throws StartupError where VAULT_CACERT cannot be read.
 */
export function openVault({ address, namespace, caCert, login }: VaultConfig, figures?: VaultFigures): VaultSession {
  const transport = new VaultTransport(authorities(caCert));
  return new VaultSession(new VaultApi(address, namespace, transport, figures), login, figures);
}

function authorities(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch {
    throw new StartupError(`VAULT_CACERT: ${path} cannot be read.`);
  }
}
