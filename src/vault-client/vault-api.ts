import axios, { type AxiosInstance } from 'axios';
import vault from 'node-vault';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { DomainError, outageReason, SECOND } from '../kernel';
import type { VaultFigures, VaultOperation, VaultOutcome } from '../observability';

// A batch of 200 wraps is 40 KiB. What answers more than this is not Vault.
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_SOCKETS = 16;

/** What node-vault hands to its transport, as far as it concerns us. */
export interface TransportRequest {
  readonly method: string;
  readonly uri: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** ms until the request is given up: name resolution, connection and body included. */
  readonly timeout: number;
  /** Called with the answer's headers, which node-vault drops. */
  readonly onHeaders?: (headers: AnswerHeaders) => void;
}

/** What Coffer looks at of the headers of an answer. */
export interface AnswerHeaders {
  readonly retryAfter: string | undefined;
  /**
   * The state of the storage after a write: who names it in a later request is not served from an
   * older one.
   */
  readonly index: string | undefined;
}

export interface TransportAnswer {
  readonly statusCode: number;
  readonly body: unknown;
  readonly request: { readonly path: string };
}

/**
 * The transport under node-vault, in place of its own one, which can neither be cancelled nor told
 * not to follow redirects. It follows none: a redirect would carry the token to another host, and
 * the library that follows them prints all headers under DEBUG. It uses no proxy of the
 * environment.
 */
export class VaultTransport {
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  readonly #https: HttpsAgent;
  readonly #axios: AxiosInstance;

  /** `ca`: PEM of the authorities to trust in place of the system's. */
  constructor(ca: Buffer | undefined) {
    this.#https = new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...(ca === undefined ? {} : { ca }) });
    this.#axios = axios.create({
      httpAgent: this.#http,
      httpsAgent: this.#https,
      maxRedirects: 0,
      proxy: false,
      maxContentLength: MAX_ANSWER_BYTES,
      validateStatus: () => true,
    });
  }

  async send(request: TransportRequest): Promise<TransportAnswer> {
    const { status, data, headers } = await this.#axios.request<unknown>({
      method: request.method,
      url: request.uri,
      headers: { ...request.headers },
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(request.timeout))),
      ...(request.json === undefined ? {} : { data: request.json }),
    });
    request.onHeaders?.({ retryAfter: textOf(headers['retry-after']), index: textOf(headers['x-vault-index']) });
    return { statusCode: status, body: data, request: { path: new URL(request.uri).pathname } };
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The node has not yet seen the state of the storage, or the token, that the request names. */
export const LAGS_BEHIND = 412;

/**
 * What Vault answered: 2xx, or a refusal of the request itself (4xx). Anything else is an outage
 * and was thrown.
 */
export interface VaultReply {
  readonly status: number;
  readonly body: VaultBody;
  /** The state of the storage that this answer is from, where the server says it. */
  readonly index?: string | undefined;
}

export interface VaultBody {
  readonly data?: unknown;
  readonly auth?: unknown;
  /** Vault's texts: looked at, never passed on. */
  readonly errors?: unknown;
}

export interface VaultCall {
  readonly method: 'GET' | 'POST';
  /** Below /v1, as `transit/keys/coffer-master`. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly token?: string;
  /** The state of the storage that the answer may not be older than. */
  readonly index?: string | undefined;
  readonly timeoutMs: number;
}

/**
 * Calls of Vault's API, without a state of its own: the token comes with each call. Errors of
 * node-vault and of axios hold the request, and with it keys and tokens, so none of them leaves
 * this file, not even as a `cause`.
 */
export class VaultApi {
  readonly #client: vault.client;

  constructor(
    address: string,
    namespace: string | undefined,
    private readonly transport: VaultTransport,
    private readonly figures?: VaultFigures,
  ) {
    this.#client = vault({
      endpoint: address,
      // DEBUG=node-vault would print what is written: key bytes and the secret id.
      debug: () => undefined,
      'request-promise': { defaults: () => this.transport.send.bind(this.transport) },
      ...(namespace === undefined ? {} : { namespace }),
    });
    // node-vault takes VAULT_TOKEN from the environment by itself; ours is chosen by config and
    // sent by call.
    this.#client.token = '';
  }

  /**
   * @throws DomainError `kms_unavailable`: no answer in time, 429, 5xx, sealed, a redirect, or
   * something that is not Vault.
   */
  async call(call: VaultCall): Promise<VaultReply> {
    const begun = performance.now();
    const count = (outcome: VaultOutcome): void =>
      this.figures?.observe(operationOf(call.path), outcome, (performance.now() - begun) / SECOND);
    try {
      const reply = await this.#send(call);
      count(outcomeOf(reply.status));
      return reply;
    } catch (error) {
      count('unavailable');
      throw error;
    }
  }

  close(): void {
    this.transport.close();
  }

  async #send(call: VaultCall): Promise<VaultReply> {
    let headers: AnswerHeaders | undefined;
    const options = {
      timeout: call.timeoutMs,
      onHeaders: (given: AnswerHeaders) => (headers = given),
      headers: headersOf(call),
    };
    try {
      const body: unknown =
        call.method === 'GET'
          ? await this.#client.read(call.path, options)
          : await this.#client.write(call.path, call.body ?? {}, options);
      return { status: 200, body: asBody(body), index: headers?.index };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw unavailable(reasonOf(error), secondsOf(headers?.retryAfter));
      return refusal;
    }
  }
}

const OPERATIONS: readonly (readonly [RegExp, VaultOperation])[] = [
  [/^auth\/approle\/login$/, 'login'],
  [/^auth\/token\/renew-self$/, 'renew'],
  [/^auth\/token\/lookup-self$/, 'lookup'],
  [/\/encrypt\/[^/]+$/, 'encrypt'],
  [/\/decrypt\/[^/]+$/, 'decrypt'],
  [/\/rewrap\/[^/]+$/, 'rewrap'],
  [/\/keys\//, 'other'],
  [/\/(data|metadata|destroy|delete|config)(\/|$)/, 'kv'],
];

/** By the form of the path alone: names of keys and documents are no labels. */
const operationOf = (path: string): VaultOperation => OPERATIONS.find(([form]) => form.test(path))?.[1] ?? 'other';

function outcomeOf(status: number): VaultOutcome {
  if (status === 200) return 'done';
  return status === 403 ? 'forbidden' : 'refused';
}

/**
 * A node that lags behind hands the request on to the active one, where its operator allows that;
 * else it answers 412.
 */
const headersOf = ({ token, index }: VaultCall): Readonly<Record<string, string>> => ({
  'X-Vault-Inconsistent': 'forward-active-node',
  ...(token === undefined ? {} : { 'X-Vault-Token': token }),
  ...(index === undefined ? {} : { 'X-Vault-Index': index }),
});

const NO_ANSWER = 'no answer in time';

/**
 * Vault may be there and need longer than the time that was given: a smaller request may be
 * answered.
 */
export const isTooSlow = (error: unknown): boolean => error instanceof VaultUnavailable && error.reason === NO_ANSWER;

/** Seconds. */
const USUAL_WAIT = 5;
/**
 * Whatever an answer says, Vault is asked again after so many seconds: a header must not take the
 * service away for an hour.
 */
const LONGEST_WAIT = 30;

/** `reason` is for the log: a status or an errno, nothing that Vault wrote. */
export class VaultUnavailable extends DomainError {
  /** `told`: seconds, where something said how long to wait. */
  constructor(
    override readonly reason: string,
    readonly told?: number,
  ) {
    const detail = 'The key service cannot be reached.';
    super('kms_unavailable', { detail, reason, retryAfterSeconds: told ?? USUAL_WAIT });
  }
}

export const unavailable = (reason: string, told?: number): VaultUnavailable => new VaultUnavailable(reason, told);

/** Vault says whole seconds. A date, which an intermediary may send, counts as nothing. */
const secondsOf = (retryAfter: string | undefined): number | undefined =>
  retryAfter !== undefined && /^\d{1,9}$/.test(retryAfter)
    ? Math.min(Math.max(1, Number(retryAfter)), LONGEST_WAIT)
    : undefined;

const REFUSALS = new Set([400, 403, 404, 405, LAGS_BEHIND, 413]);

function refusalOf(error: unknown): VaultReply | undefined {
  const answer = answerOf(error);
  return answer !== undefined && REFUSALS.has(answer.statusCode)
    ? { status: answer.statusCode, body: asBody(answer.body) }
    : undefined;
}

function answerOf(error: unknown): { statusCode: number; body: unknown } | undefined {
  if (!(error instanceof Error) || !('response' in error)) return undefined;
  const response = error.response as { statusCode?: unknown; body?: unknown } | undefined;
  return typeof response?.statusCode === 'number'
    ? { statusCode: response.statusCode, body: response.body }
    : undefined;
}

function reasonOf(error: unknown): string {
  const answer = answerOf(error);
  if (answer !== undefined) return statusReason(answer);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_CANCELED') return NO_ANSWER;
  return outageReason(error) ?? (typeof code === 'string' ? code : 'no answer');
}

/**
 * What Vault answers where it does not serve; the texts of its errors are looked at and not passed
 * on.
 */
function statusReason({ statusCode, body }: { readonly statusCode: number; readonly body: unknown }): string {
  const texts = asBody(body).errors;
  const says = (words: RegExp): boolean => Array.isArray(texts) && texts.some((text) => words.test(String(text)));
  if (says(/\bsealed\b/i)) return `it is sealed (status ${statusCode})`;
  if (says(/not (yet )?initialized/i)) return `it is not initialized (status ${statusCode})`;
  return `status ${statusCode}`;
}

const asBody = (body: unknown): VaultBody => (typeof body === 'object' && body !== null ? body : {});
