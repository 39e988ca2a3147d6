import axios, { type AxiosInstance } from 'axios';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

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
  /** The state of the storage after a write: who names it in a later request is not served from an older one. */
  readonly index: string | undefined;
}

export interface TransportAnswer {
  readonly statusCode: number;
  readonly body: unknown;
  readonly request: { readonly path: string };
}

/**
 * The transport under node-vault, in place of its own one, which can neither be cancelled nor told not to follow redirects. It follows none:
 * a redirect would carry the token to another host, and the library that follows them prints all headers under DEBUG. It uses no proxy of
 * the environment.
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
