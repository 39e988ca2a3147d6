import { Readable } from 'node:stream';
import { Agent, type Dispatcher, FormData, request } from 'undici';

/** One HTTP answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: Buffer;
  readonly text: string;
  /** The JSON body; throws where it is none. Untyped on purpose: a test asserts the shape. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the assertions of a test are the type check here
  readonly json: any;
}

export interface SendOptions {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string | Buffer | Readable | FormData;
}

export interface UploadOptions {
  readonly fields?: Readonly<Record<string, string>>;
  readonly contentType?: string;
}

/** A small HTTP client: JSON, bearer token, and one or several servers in turn. */
export class Client {
  static readonly #agent = new Agent({ keepAliveTimeout: 1000, bodyTimeout: 60_000, headersTimeout: 60_000 });
  readonly #targets: readonly string[];
  readonly #turn: { next: number };
  readonly token: string | undefined;

  constructor(targets: string | readonly string[], token?: string, turn = { next: 0 }) {
    this.#targets = typeof targets === 'string' ? [targets] : targets;
    this.#turn = turn;
    this.token = token;
  }

  /** The same servers with this bearer token; without one, as nobody. */
  as(token: string | undefined): Client {
    return new Client(this.#targets, token, this.#turn);
  }

  /** The server whose turn it is. */
  target(): string {
    return this.#targets[this.#turn.next++ % this.#targets.length]!;
  }

  get(path: string, options?: SendOptions): Promise<Answer> {
    return this.send('GET', path, options);
  }

  head(path: string, options?: SendOptions): Promise<Answer> {
    return this.send('HEAD', path, options);
  }

  post(path: string, json?: unknown, options?: SendOptions): Promise<Answer> {
    return this.send('POST', path, json === undefined ? options : { ...options, json });
  }

  put(path: string, json: unknown, options?: SendOptions): Promise<Answer> {
    return this.send('PUT', path, { ...options, json });
  }

  patch(path: string, json: unknown, options?: SendOptions): Promise<Answer> {
    return this.send('PATCH', path, { ...options, json });
  }

  delete(path: string, options?: SendOptions): Promise<Answer> {
    return this.send('DELETE', path, options);
  }

  /** POST /files as multipart/form-data: the fields first, then the part `file`. */
  upload(name: string, content: Buffer | string, options: UploadOptions = {}): Promise<Answer> {
    const form = new FormData();
    for (const [field, value] of Object.entries(options.fields ?? {})) form.append(field, value);
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const type = options.contentType ?? 'application/octet-stream';
    form.append('file', new Blob([new Uint8Array(bytes)], { type }), name);
    return this.send('POST', '/files', { body: form });
  }

  /** POST /files with the bytes as the whole body. */
  uploadRaw(name: string, body: Buffer | string | Readable, query: SendOptions['query'] = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/octet-stream' };
    return this.send('POST', '/files', { body, headers, query: { name, ...query } });
  }

  async send(method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    return readAnswer(await this.open(method, path, options));
  }

  /** The answer with its body still to be read: for streams and for hang-ups. */
  open(method: string, path: string, options: SendOptions = {}): Promise<Dispatcher.ResponseData> {
    const body = options.json === undefined ? options.body : JSON.stringify(options.json);
    const headers: Record<string, string> = {
      ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
      ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    };
    return request(this.#address(path, options.query), {
      method,
      headers,
      dispatcher: Client.#agent,
      ...(body === undefined ? {} : { body }),
    });
  }

  #address(path: string, query: SendOptions['query']): string {
    const target = path.startsWith('http') ? '' : this.target();
    const pairs = Object.entries(query ?? {}).map(([name, value]): [string, string] => [name, String(value)]);
    if (pairs.length === 0) return target + path;
    return `${target}${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams(pairs).toString()}`;
  }
}

async function readAnswer(response: Dispatcher.ResponseData): Promise<Answer> {
  const bytes = Buffer.from(await response.body.arrayBuffer());
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
  const text = bytes.toString('utf8');
  return {
    status: response.statusCode,
    headers,
    bytes,
    text,
    get json() {
      return JSON.parse(text) as unknown;
    },
  };
}

/**
 * Asserts an RFC 9457 answer of this status and code, and that it gives away nothing of the
 * server's inside.
 */
export function expectProblem(answer: Answer, status: number, code: string): void {
  const summary = { status: answer.status, code: bodyCode(answer), type: answer.headers['content-type'] };
  expect(summary).toEqual({ status, code, type: expect.stringMatching(/^application\/problem\+json/) });
  expect(answer.json).toEqual(
    expect.objectContaining({
      type: expect.any(String),
      title: expect.any(String),
      status,
      instance: expect.any(String),
    }),
  );
  expect(answer.text).not.toMatch(/node_modules|\bat .+:\d+:\d+|MongoServerError|ECONNREFUSED/);
}

function bodyCode(answer: Answer): unknown {
  try {
    return (answer.json as { code?: unknown }).code;
  } catch {
    return answer.text.slice(0, 200);
  }
}

/** Asserts the status and gives the JSON body, or fails with what came instead. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as Answer.json
export function expectStatus(answer: Answer, status: number): any {
  if (answer.status !== status) expect(`${answer.status} ${answer.text.slice(0, 500)}`).toBe(String(status));
  return answer.bytes.length === 0 ? undefined : (answer.json as unknown);
}
