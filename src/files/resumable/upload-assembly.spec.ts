import { createHash } from 'node:crypto';
import { Upload, type UrlStorage } from 'tus-js-client';
import { signUp } from '../../../test/support/accounts';
import { type Answer, type Client, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { createUpload, headUpload, metadataOf, patchUpload } from '../../../test/support/tus';
import { MINUTE } from '../../kernel';

const CONTENT = Buffer.from('helloworld');

let coffer: Coffer;
let client: Client;

beforeAll(async () => {
  coffer = await startCoffer({ env: { TRASH_DAYS: '30' } });
  client = (await signUp(coffer.client)).client;
});
afterAll(() => coffer.close());

/** An upload in two pieces of five bytes that has become a file. */
async function finished(name: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const headers = { 'upload-metadata': metadataOf({ filename: name, ...more }) };
  const path = (await createUpload(client, name, CONTENT.length, { headers })).headers['location']!;
  expect((await patchUpload(client, path, 0, CONTENT.subarray(0, 5))).status).toBe(204);
  expect((await patchUpload(client, path, 5, CONTENT.subarray(5))).status).toBe(204);
  return path;
}

const idIn = (path: string): string => path.split('/').at(-1)!;
const sha256 = (text: string): string => `sha256 ${createHash('sha256').update(text).digest('base64')}`;

describe('an upload whose file is gone', () => {
  const answers = async (path: string): Promise<number[]> => [
    (await headUpload(client, path)).status,
    (await patchUpload(client, path, 5, CONTENT.subarray(5))).status,
    (await patchUpload(client, path, 10, Buffer.alloc(0))).status,
  ];

  it('is not found while the file is in the trash, and is there again with it', async () => {
    const path = await finished('trashed');
    expectStatus(await client.delete(`/files/${idIn(path)}`), 204);
    expect(await answers(path)).toEqual([404, 404, 404]);
    expectStatus(await client.post(`/files/${idIn(path)}/restore`, {}), 200);
    expect(await answers(path)).toEqual([200, 204, 204]);
  });

  it('is not found once the file is deleted', async () => {
    const path = await finished('deleted');
    expectStatus(await client.delete(`/files/${idIn(path)}?permanent=true`), 204);
    expect(await answers(path)).toEqual([404, 404, 404]);
  });

  it('is not found once the file has expired', async () => {
    const path = await finished('expired', { expires_in: '60' });
    coffer.clock.offset += 2 * MINUTE;
    expect(await answers(path)).toEqual([404, 404, 404]);
  });

  it('is begun anew by a client that remembers it', async () => {
    const urlStorage = new Remembered();
    const send = async (): Promise<string> => {
      let id: string | undefined;
      const upload = new Upload(CONTENT, {
        endpoint: `${coffer.client.target()}/uploads`,
        headers: { authorization: `Bearer ${client.token ?? ''}` },
        metadata: { filename: 'remembered' },
        fingerprint: () => Promise.resolve('remembered'),
        ...{ urlStorage, storeFingerprintForResuming: true },
        onAfterResponse: (_request, response) => void (id = response.getHeader('file-id') ?? id),
      });
      for (const former of await upload.findPreviousUploads()) upload.resumeFromPreviousUpload(former);
      await new Promise<void>((resolve, reject) => {
        Object.assign(upload.options, { onSuccess: resolve, onError: reject });
        upload.start();
      });
      return id!;
    };
    const first = await send();
    expectStatus(await client.delete(`/files/${first}`), 204);
    const second = await send();
    expect(second).not.toBe(first);
    expect((await client.get(`/files/${second}/content`)).bytes).toEqual(CONTENT);
  });
});

describe('a PATCH after the last byte', () => {
  let path: string;
  beforeAll(async () => {
    path = await finished('held');
  });

  const patch = (offset: number, text: string, checksum?: string): Promise<Answer> =>
    patchUpload(client, path, offset, Buffer.from(text), {
      headers: checksum === undefined ? {} : { 'upload-checksum': checksum },
    });

  it.each([
    ['the last piece', 5, 'world', undefined, 204],
    ['the last piece with its checksum', 5, 'world', sha256('world'), 204],
    ['the last byte', 9, 'd', undefined, 204],
    ['nothing at the end', 10, '', undefined, 204],
    ['another checksum', 5, 'world', sha256('other'), 460],
    ['nothing at the end and another checksum', 10, '', sha256('other'), 460],
    ['an offset in the middle', 3, 'loworld', undefined, 409],
    ['the offset of the first piece', 0, 'hello', undefined, 409],
    ['an offset beyond the end', 11, '', undefined, 409],
    ['a piece that does not reach the end', 5, 'wor', undefined, 409],
    ['a piece that goes beyond the end', 5, 'world!', undefined, 413],
    ['bytes at the end', 10, '!', undefined, 413],
  ])('that brings %s is held to what it says', async (_what, offset, text, checksum, status) => {
    const answer = await patch(offset, text, checksum);
    expect([answer.status, answer.headers['upload-offset']]).toEqual([status, status === 204 ? '10' : undefined]);
    expect((await client.get(`/files/${idIn(path)}/content`)).bytes).toEqual(CONTENT);
  });
});

describe('a fault of Upload-Metadata', () => {
  const refusal = async (pairs: Readonly<Record<string, string>>): Promise<string> => {
    const answer = await createUpload(client, '', 1, { headers: { 'upload-metadata': metadataOf(pairs) } });
    expect(answer.status).toBe(400);
    return answer.text;
  };

  it('is told in the words of the metadata', async () => {
    expect(await refusal({ name: 'a' })).toMatch(/^filename must be given$/m);
    expect(await refusal({ filename: 'a/b' })).toMatch(/^filename /m);
    expect(await refusal({ filename: 'a', filetype: 'nonsense' })).toMatch(/^filetype must be a media type$/m);
    expect(await refusal({ filename: 'a', expires_in: 'soon' })).toMatch(/^expires_in must be /m);
  });

  it('is none where the client has words of its own, whatever they are', async () => {
    const names = Object.getOwnPropertyNames(Object.prototype);
    const own = Object.fromEntries(names.filter((name) => name !== '__proto__').map((name) => [name, 'x']));
    const metadata = `${metadataOf({ filename: 'own words', ...own })},__proto__ eA==`;
    const created = await createUpload(client, '', 1, { headers: { 'upload-metadata': metadata } });
    expect(created.status).toBe(201);
    const { headers } = await headUpload(client, created.headers['location']!);
    expect(headers['upload-metadata']).toBe(metadata);
  });
});

type Previous = Awaited<ReturnType<UrlStorage['findAllUploads']>>[number];

/** Where a browser keeps what it has begun. */
class Remembered implements UrlStorage {
  readonly #uploads = new Map<string, Previous>();

  findAllUploads = (): Promise<Previous[]> => Promise.resolve([...this.#uploads.values()]);
  findUploadsByFingerprint = (): Promise<Previous[]> => this.findAllUploads();
  removeUpload = (key: string): Promise<void> => Promise.resolve(void this.#uploads.delete(key));

  addUpload(_fingerprint: string, upload: Previous): Promise<string> {
    const key = String(this.#uploads.size);
    this.#uploads.set(key, { ...upload, urlStorageKey: key });
    return Promise.resolve(key);
  }
}
