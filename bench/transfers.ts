import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Agent, request } from 'undici';

export const MIB = 1024 * 1024;
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
const CHUNK = randomBytes(MIB);

/** One side of a comparison: where it takes a content, and where it gives and removes it. */
export interface Routes {
  readonly put: () => string;
  readonly get: (id: string) => string;
  readonly remove: (id: string) => string;
}

export const PLAIN: Routes = {
  put: () => '/bench/plain',
  get: (id) => `/bench/plain/${id}`,
  remove: (id) => `/bench/plain/${id}`,
};
export const COFFER: Routes = {
  put: () => `/files?name=bench-${randomBytes(8).toString('hex')}`,
  get: (id) => `/files/${id}/content`,
  remove: (id) => `/files/${id}`,
};

function* chunks(mib: number): Iterable<Buffer> {
  for (let sent = 0; sent < mib; sent += 1) yield CHUNK;
}

/** The client of all benches that move bytes: the same for both sides. */
export class Transfers {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** Sends `mib` MiB; resolves with the id and how long it took until the answer was there. */
  async upload(path: string, mib: number): Promise<{ id: string; seconds: number }> {
    const begun = performance.now();
    const answer = await request(this.url + path, {
      method: 'POST',
      headers: {
        ...this.#bearer(),
        'content-type': 'application/octet-stream',
        'content-length': String(mib * MIB),
      },
      body: Readable.from(chunks(mib), { objectMode: false, highWaterMark: MIB }),
      dispatcher: agent,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 201) throw new Error(`POST ${path} answered ${answer.statusCode}: ${text}`);
    return { id: (JSON.parse(text) as { id: string }).id, seconds: (performance.now() - begun) / 1000 };
  }

  /**
   * Reads it all, or the range, and drops it; resolves with the seconds.
   * @throws Error where other than `bytes` bytes came.
   */
  async download(path: string, bytes: number, headers: Record<string, string> = {}): Promise<number> {
    const begun = performance.now();
    const answer = await request(this.url + path, { headers: { ...this.#bearer(), ...headers }, dispatcher: agent });
    let received = 0;
    for await (const chunk of answer.body) received += (chunk as Buffer).length;
    if (received !== bytes) throw new Error(`GET ${path} gave ${received} bytes`);
    return (performance.now() - begun) / 1000;
  }

  async remove(path: string): Promise<void> {
    const answer = await request(this.url + path, { method: 'DELETE', headers: this.#bearer(), dispatcher: agent });
    await answer.body.dump();
  }

  #bearer(): Record<string, string> {
    return { authorization: `Bearer ${this.token}` };
  }
}
