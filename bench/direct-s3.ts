import { createHash, createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';
import type { S3Address } from '../src/blobs/s3';

const UNSIGNED = 'UNSIGNED-PAYLOAD';

interface Answer {
  readonly etag: string;
  /** Its first bytes. */
  readonly text: string;
  readonly bytes: number;
}

/**
 * The other side of the S3 figures: the least that a client can do. Plain HTTP, signed by hand
 * without the body, no checksum, no copy of a byte, no wait for a source, and nothing looked at
 * that comes back. The SDK itself is slower by far.
 */
export class DirectS3 {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #keys: { readonly id: string; readonly secret: string };
  readonly #server: URL;

  constructor(private readonly address: S3Address) {
    if (address.keys === undefined || address.endpoint === undefined) throw new Error('a server with keys is needed');
    this.#keys = address.keys;
    this.#server = new URL(address.endpoint);
  }

  /** A multipart upload of `bytes` bytes in parts of `part`, so many on their way at once. */
  async put(id: string, bytes: number, part: Buffer, inFlight: number): Promise<void> {
    const count = Math.ceil(bytes / part.length);
    const begun = await this.#send('POST', id, 'uploads=');
    const upload = /<UploadId>(.*)<\/UploadId>/.exec(begun.text)?.[1] ?? '';
    const tags: string[] = [];
    let next = 0;
    const sendParts = async (): Promise<void> => {
      while (next < count) {
        const number = ++next;
        const body = part.subarray(0, bytes - (number - 1) * part.length);
        tags[number - 1] = (await this.#send('PUT', id, `partNumber=${number}&uploadId=${upload}`, body)).etag;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, sendParts));
    const parts = tags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`);
    const whole = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
    await this.#send('POST', id, `uploadId=${upload}`, Buffer.from(whole));
  }

  /** Reads it all and drops it; resolves with how many bytes came. */
  async get(id: string): Promise<number> {
    return (await this.#send('GET', id)).bytes;
  }

  async remove(id: string): Promise<void> {
    await this.#send('DELETE', id);
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, id: string, query = '', body: Buffer = Buffer.alloc(0)): Promise<Answer> {
    const path = `/${this.address.bucket}/${id}`;
    const headers = { ...this.#signed(method, path, query), 'content-length': body.length };
    const target = { agent: this.#agent, host: this.#server.hostname, port: this.#server.port };
    return new Promise((resolve, reject) => {
      const sent = request({ ...target, method, path: query === '' ? path : `${path}?${query}`, headers }, (answer) => {
        let [bytes, text] = [0, ''];
        answer.on('data', (chunk: Buffer) => {
          if (bytes < 4096) text += chunk.toString('latin1', 0, 4096);
          bytes += chunk.length;
        });
        answer.once('end', () => {
          const { statusCode = 0 } = answer;
          if (statusCode >= 300) reject(new Error(`${method} ${path} answered ${statusCode}: ${text}`));
          else resolve({ etag: answer.headers.etag ?? '', text, bytes });
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  /** AWS Signature Version 4. */
  #signed(method: string, path: string, query: string): Record<string, string> {
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const headers = { host: this.#server.host, 'x-amz-content-sha256': UNSIGNED, 'x-amz-date': time };
    const names = Object.keys(headers).join(';');
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}`);
    const canonical = [method, path, query, ...lines, '', names, UNSIGNED].join('\n');
    const scope = [time.slice(0, 8), this.address.region, 's3', 'aws4_request'];
    const place = scope.join('/');
    const key = scope.reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${this.#keys.secret}`);
    const hash = createHash('sha256').update(canonical).digest('hex');
    const signature = hmac(key, ['AWS4-HMAC-SHA256', time, place, hash].join('\n')).toString('hex');
    const credential = `AWS4-HMAC-SHA256 Credential=${this.#keys.id}/${place}`;
    return { ...headers, authorization: `${credential}, SignedHeaders=${names}, Signature=${signature}` };
  }
}

const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();
