import { readFile, utimes, writeFile } from 'node:fs/promises';
import { login, newPerson, type Person, register, signUp } from '../../../test/support/accounts';
import { type Client, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { waitFor } from '../../../test/support/processes';
import { blobFiles } from '../../../test/support/raw-http';
import { createUpload, endUpload, headUpload, newUpload, offsetOf, patchUpload } from '../../../test/support/tus';
import { BlobStore } from '../../blobs';
import { HOUR, MINUTE, SECOND, burstsOf, newId } from '../../kernel';
import { userKeysCollection } from '../../keys/user-keys';
import { fileUsageCollection } from '../../quota';
import { Store, update } from '../../store';
import { BlobOwnership, blobRefCollection } from '../content/blob-ownership';
import { fileCollection } from '../model/file.collection';
import { FilesUserData, UploadsUserData } from '../user-data';
import { CreateUpload } from './create-upload';
import { StagedParts } from './staged-parts';
import { parseCreation } from './tus-headers';
import { UploadCompletion } from './upload-assembly';
import { UploadsSweeper } from './upload-cleanup';
import { IncomingChunk, UploadWriter } from './upload-writer';
import { uploadCollection, UploadDoc } from './upload.collection';

const QUOTA = 1000;
const bytes = (size: number, fill = 7): Buffer => Buffer.alloc(size, fill);

let coffer: Coffer;
let person: Person;
let client: Client;

beforeAll(async () => {
  coffer = await startCoffer({ env: { USER_QUOTA: String(QUOTA), MAX_FILE_SIZE: '2000', UPLOAD_EXPIRY_HOURS: '2' } });
});
afterAll(() => coffer.close());
beforeEach(async () => {
  person = await register(coffer.client, newPerson());
  client = await signedIn();
});

jest.setTimeout(60_000);

const signedIn = async (): Promise<Client> => coffer.client.as((await login(coffer.client, person)).access_token);
const userId = async (): Promise<string> => (await client.get('/me')).json.id as string;
const idIn = (path: string): string => path.split('/').at(-1)!;
const rowOf = (path: string): Promise<UploadDoc | undefined> =>
  coffer.get(Store).collection(uploadCollection).find('_id', idIn(path));
const fileRowOf = (path: string) => coffer.get(Store).collection(fileCollection).find('_id', idIn(path));
const refsOf = (path: string): Promise<number> =>
  coffer
    .get(Store)
    .collection(blobRefCollection)
    .count('holder', ['upload', idIn(path)]);
const usedBytes = async (): Promise<number> =>
  (
    await coffer
      .get(Store)
      .collection(fileUsageCollection)
      .find('_id', await userId())
  )?.bytes ?? 0;
const forward = async (ms: number): Promise<void> => {
  coffer.clock.offset += ms;
  client = await signedIn();
};

describe('the quota', () => {
  it('is taken at the creation, so that uploads cannot pass it together', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => createUpload(client, `f${n}`, 300)));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(3).fill(201), ...Array(7).fill(507)]);
    expect(await usedBytes()).toBe(900);
    expect((await client.upload('too much', bytes(101))).status).toBe(507);
  });

  it('is given back when an upload is terminated, and once', async () => {
    const path = await newUpload(client, 'f', QUOTA);
    await patchUpload(client, path, 0, bytes(10));
    expect((await createUpload(client, 'g', 1)).status).toBe(507);
    const ends = await Promise.all([endUpload(client, path), endUpload(client, path)]);
    expect(ends.map(({ status }) => status)).toContain(204);
    expect(await usedBytes()).toBe(0);
  });

  it('stays taken by the file that comes of it, and goes with that', async () => {
    const path = await newUpload(client, 'f', 400);
    const { headers } = await patchUpload(client, path, 0, bytes(400));
    expect(await usedBytes()).toBe(400);
    expect((await endUpload(client, path)).status).toBe(204);
    expect(await usedBytes()).toBe(400);
    expectStatus(await client.delete(`/files/${headers['file-id'] ?? ''}`), 204);
    expect(await usedBytes()).toBe(0);
  });

  it('and the largest size are told before anything is stored', async () => {
    const rows = await coffer.get(Store).collection(uploadCollection).count('_id', []);
    expect((await createUpload(client, 'f', 2001)).status).toBe(413);
    expect((await createUpload(client, 'f', QUOTA + 1)).status).toBe(507);
    expect(await coffer.get(Store).collection(uploadCollection).count('_id', [])).toBe(rows);
  });
});

describe('an upload past its time', () => {
  it('is gone for its client at once, and with its blobs and its share at the next sweep', async () => {
    const blobs = await blobFiles(coffer.dataDir);
    const path = await newUpload(client, 'f', 100);
    await patchUpload(client, path, 0, bytes(50));
    await forward(2 * HOUR + SECOND);
    expect((await headUpload(client, path)).status).toBe(410);
    expect((await patchUpload(client, path, 50, bytes(50))).status).toBe(410);
    await coffer.get(UploadsSweeper).sweep();
    expect((await headUpload(client, path)).status).toBe(404);
    expect(await usedBytes()).toBe(0);
    expect([await rowOf(path), await fileRowOf(path), await refsOf(path)]).toEqual([undefined, undefined, 0]);
    expect(await blobFiles(coffer.dataDir)).toEqual(blobs);
  });

  it('counts its time from the last bytes that came', async () => {
    const path = await newUpload(client, 'f', 100);
    await forward(HOUR + 30 * MINUTE);
    await patchUpload(client, path, 0, bytes(50));
    await forward(HOUR);
    await coffer.get(UploadsSweeper).sweep();
    expect((await patchUpload(client, path, 50, bytes(50))).headers['file-id']).toBe(idIn(path));
  });

  it('leaves the file that it became', async () => {
    const path = await newUpload(client, 'f', 10);
    await patchUpload(client, path, 0, bytes(10));
    await forward(3 * HOUR);
    await coffer.get(UploadsSweeper).sweep();
    expect(await rowOf(path)).toBeUndefined();
    expect((await client.get(`/files/${idIn(path)}/content`)).bytes.equals(bytes(10))).toBe(true);
  });

  it('is not waited for long where its creation stopped half-way', async () => {
    const id = newId();
    const request = parseCreation({ 'upload-length': '5', 'upload-metadata': 'filename Zg==' });
    await coffer.get(CreateUpload).insert(id, await userId(), request);
    expect((await headUpload(client, `/uploads/${id}`)).status).toBe(404);
    await forward(6 * MINUTE);
    await coffer.get(UploadsSweeper).sweep();
    expect(await rowOf(id)).toBeUndefined();
  });
});

describe('an attempt that was taken for dead', () => {
  it('counts for nothing when it wakes up, and leaves no blob', async () => {
    const before = await blobFiles(coffer.dataDir);
    const path = await newUpload(client, 'f', 8);
    let wake: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (wake = resolve));
    async function* asleep(): AsyncGenerator<Buffer> {
      yield Buffer.from('late');
      await gate;
      yield Buffer.from('late');
    }
    const chunk: IncomingChunk = {
      offset: 0,
      body: burstsOf(asleep()),
      contentLength: 8,
      checksum: undefined,
      interrupt: () => undefined,
    };
    const late = coffer.get(UploadWriter).write((await rowOf(path))!, chunk);
    late.catch(() => undefined);
    await waitFor('the attempt', async () => (await rowOf(path))?.running === 1);
    expect((await patchUpload(client, path, 0, Buffer.from('in time!'))).status).toBe(423);
    coffer.clock.slept += 10 * SECOND;
    const answer = await patchUpload(client, path, 0, Buffer.from('in time!'));
    expect([answer.status, answer.headers['file-id']]).toEqual([204, idIn(path)]);
    wake();
    await expect(late).rejects.toMatchObject({ code: 'conflict' });
    expect((await client.get(`/files/${idIn(path)}/content`)).text).toBe('in time!');
    expect((await blobFiles(coffer.dataDir)).length).toBe(before.length + 1);
    expect(await refsOf(path)).toBe(0);
  });
});

describe("an attempt of a replica whose clock is an hour behind this one's", () => {
  /** As another process would run it: with its own id, and its own time. */
  async function running(path: string): Promise<{ beat: () => Promise<void> }> {
    const rows = coffer.get(Store).collection(uploadCollection);
    let touched_at = Date.now() - HOUR;
    const worker = 'b/1/c';
    await update(rows, idIn(path), (row) => ({ ...row, running: 1, attempts: 1, touched_at, worker }));
    const beat = async (): Promise<void> => {
      touched_at += SECOND;
      await update(rows, idIn(path), (row) => (row.worker === worker ? { ...row, touched_at } : undefined));
    };
    return { beat };
  }

  it('is not taken for dead by the sweep while it moves, and is cleared away once it is silent', async () => {
    const path = await newUpload(client, 'f', 8);
    const { beat } = await running(path);
    for (let turn = 0; turn < 3; turn += 1) {
      await coffer.get(UploadsSweeper).sweep();
      coffer.clock.slept += MINUTE;
      await beat();
    }
    expect((await rowOf(path))?.running).toBe(1);
    await coffer.get(UploadsSweeper).sweep();
    coffer.clock.slept += 2 * MINUTE;
    await coffer.get(UploadsSweeper).sweep();
    expect((await rowOf(path))?.running).toBeUndefined();
  });

  it('is not asked to end while it moves, and is taken over once it hangs', async () => {
    const path = await newUpload(client, 'f', 8);
    const { beat } = await running(path);
    const beats = setInterval(() => void beat(), 50);
    const answer = await patchUpload(client, path, 0, bytes(8));
    clearInterval(beats);
    expect(answer.status).toBe(423);
    expect((await rowOf(path))?.close_asked).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const later = setInterval(() => (coffer.clock.slept += 3 * SECOND), 200);
    const taken = await patchUpload(client, path, 0, bytes(8));
    clearInterval(later);
    expect([taken.status, taken.headers['file-id']]).toEqual([204, idIn(path)]);
  });
});

describe('a file that takes long to make', () => {
  it('may be given up by its owner, and never comes', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const blobs = coffer.get(BlobStore);
    const put = blobs.put.bind(blobs);
    const completion = coffer.get(UploadCompletion);
    const patience = { patienceMs: Reflect.get(completion, 'patienceMs') as number };
    try {
      const path = await newUpload(client, 'given up', 10);
      await patchUpload(client, path, 0, bytes(5));
      const slow = async (id: string, source: AsyncIterable<Uint8Array>): Promise<number> => {
        const ref = await coffer.get(Store).collection(blobRefCollection).find('_id', id);
        if (ref === undefined) await gate;
        return put(id, source);
      };
      Object.assign(blobs, { put: slow });
      Object.assign(completion, { patienceMs: 50 });
      expect((await patchUpload(client, path, 5, bytes(5))).status).toBe(503);
      expect((await endUpload(client, path)).status).toBe(204);
      open();
      expect([404, 410]).toContain((await patchUpload(client, path, 9, bytes(1))).status);
      expect((await client.get(`/files/${idIn(path)}`)).status).toBe(404);
    } finally {
      Object.assign(blobs, { put });
      Object.assign(completion, patience);
      open();
    }
  });

  it('is waited for, then asked for again, and never said to be there before it is', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const blobs = coffer.get(BlobStore);
    const put = blobs.put.bind(blobs);
    const slow = async (id: string, source: AsyncIterable<Uint8Array>): Promise<number> => {
      const ref = await coffer.get(Store).collection(blobRefCollection).find('_id', id);
      if (ref === undefined) await gate;
      return put(id, source);
    };
    Object.assign(blobs, { put: slow });
    const completion = coffer.get(UploadCompletion);
    const patience = { patienceMs: Reflect.get(completion, 'patienceMs') as number };
    Object.assign(completion, { patienceMs: 50 });
    try {
      const path = await newUpload(client, 'f', 10);
      await patchUpload(client, path, 0, bytes(5));
      const answer = await patchUpload(client, path, 5, bytes(5));
      expect([answer.status, Number(answer.headers['retry-after']) > 0]).toEqual([503, true]);
      expect(await offsetOf(client, path)).toBe(9);
      expect((await client.get(`/files/${idIn(path)}`)).status).toBe(404);
      Object.assign(completion, patience);
      open();
      const again = await patchUpload(client, path, 9, bytes(1));
      expect([again.status, again.headers['file-id']]).toEqual([204, idIn(path)]);
      expect((await client.get(`/files/${idIn(path)}/content`)).bytes.equals(bytes(10))).toBe(true);
    } finally {
      Object.assign(blobs, { put });
      Object.assign(completion, patience);
      open();
    }
  });
});

/** The sweep of blobs of nobody, which looks at old ones alone. */
async function sweepOldBlobs(): Promise<void> {
  for (const file of await blobFiles(coffer.dataDir)) await utimes(file, 0, 0);
  await coffer.get(BlobOwnership).sweepOrphans();
}

describe('what is stored of an upload', () => {
  it('survives the sweep of blobs that belong to nobody', async () => {
    const path = await newUpload(client, 'f', 20);
    await patchUpload(client, path, 0, bytes(10));
    await sweepOldBlobs();
    await patchUpload(client, path, 10, bytes(10));
    await sweepOldBlobs();
    expect((await client.get(`/files/${idIn(path)}/content`)).bytes.equals(bytes(20))).toBe(true);
  });

  it('opens under a user key that is rotated in the middle, and keeps no former version in use', async () => {
    const path = await newUpload(client, 'rotated', 20);
    await patchUpload(client, path, 0, bytes(5, 1));
    expectStatus(await client.post('/keys/rotate'), 200);
    await patchUpload(client, path, 5, bytes(5, 2));
    coffer.clock.offset += 10 * MINUTE;
    expectStatus(await client.post('/keys/rotate'), 200);
    expect((await headUpload(client, path)).headers['upload-metadata']).toContain('filename');
    await patchUpload(client, path, 10, bytes(10, 3));
    const content = await client.get('/files/by-name/rotated/content');
    expect(content.bytes.equals(Buffer.concat([bytes(5, 1), bytes(5, 2), bytes(10, 3)]))).toBe(true);
    const keys = await coffer
      .get(Store)
      .collection(userKeysCollection)
      .find('_id', await userId());
    expect(keys?.versions.map(({ version }) => version)).toEqual([3]);
  });

  it('makes no file where a segment is not what was stored, and says so', async () => {
    const before = await blobFiles(coffer.dataDir);
    const path = await newUpload(client, 'f', 20);
    await patchUpload(client, path, 0, bytes(10));
    const [segment = ''] = (await blobFiles(coffer.dataDir)).filter((file) => !before.includes(file));
    const message = await readFile(segment);
    message.writeUInt8(message.readUInt8(message.length - 20) ^ 1, message.length - 20);
    await writeFile(segment, message);
    expect((await patchUpload(client, path, 10, bytes(10))).status).toBe(422);
    expect((await headUpload(client, path)).status).toBe(422);
    expect((await client.get(`/files/${idIn(path)}`)).status).toBe(404);
    expect((await endUpload(client, path)).status).toBe(204);
    expect(await blobFiles(coffer.dataDir)).toEqual(before);
    expect(await usedBytes()).toBe(0);
  });

  it('goes with the account', async () => {
    const before = await blobFiles(coffer.dataDir);
    const path = await newUpload(client, 'f', 20);
    await patchUpload(client, path, 0, bytes(10));
    const owner = await userId();
    expect(await coffer.get(UploadsUserData).eraseUser(owner)).toBe(1);
    await coffer.get(FilesUserData).eraseUser(owner);
    expect([await rowOf(path), await fileRowOf(path), await refsOf(path)]).toEqual([undefined, undefined, 0]);
    expect(await blobFiles(coffer.dataDir)).toEqual(before);
  });

  it('stays for a file that has it as a former version by the time that a crash is cleared up', async () => {
    const path = await newUpload(client, 'f', 10);
    await patchUpload(client, path, 0, bytes(10));
    const refs = coffer.get(Store).collection(blobRefCollection);
    const { blob_id, owner_id } = (await fileRowOf(path))!;
    await refs.remove(blob_id);
    await refs.insert({ _id: blob_id, owner_id, holder: 'upload', holder_id: idIn(path) });
    const file = `/files/${idIn(path)}`;
    const headers = { 'if-match': `"${idIn(path)}.1"`, 'content-type': 'application/octet-stream' };
    expectStatus(await client.send('PUT', `${file}/content`, { headers, body: bytes(5) }), 200);
    await coffer.get(StagedParts).dropAll(idIn(path));
    await sweepOldBlobs();
    expect((await client.get(`${file}/content?version=1`)).bytes.equals(bytes(10))).toBe(true);
    expect(await refs.find('_id', blob_id)).toMatchObject({ holder: 'file', holder_id: idIn(path) });
  });

  it('leaves nothing behind when the file that it became goes', async () => {
    const before = await blobFiles(coffer.dataDir);
    const path = await newUpload(client, 'f', 10);
    await patchUpload(client, path, 0, bytes(10));
    const { blob_id } = (await fileRowOf(path))!;
    expectStatus(await client.delete(`/files/${idIn(path)}`), 204);
    expect(await coffer.get(Store).collection(blobRefCollection).find('_id', blob_id)).toBeUndefined();
    expect(await blobFiles(coffer.dataDir)).toEqual(before);
  });

  it('is one row however many pieces of one size come', async () => {
    const path = await newUpload(client, 'f', 40);
    for (let at = 0; at < 30; at += 1) await patchUpload(client, path, at, bytes(1, at));
    expect((await rowOf(path))?.runs).toEqual([{ first: 1, count: 30, size: 1 }]);
    expect(await offsetOf(client, path)).toBe(30);
    await patchUpload(client, path, 30, bytes(10, 99));
    const content = await client.get(`/files/${idIn(path)}/content`);
    expect(
      content.bytes.equals(Buffer.concat([Buffer.from(Array.from({ length: 30 }, (_, n) => n)), bytes(10, 99)])),
    ).toBe(true);
  });
});

describe('a request that cannot say PATCH', () => {
  it('says it in a header, and nothing else', async () => {
    const path = await newUpload(client, 'f', 4);
    const headers = {
      'tus-resumable': '1.0.0',
      'upload-offset': '0',
      'content-type': 'application/offset+octet-stream',
    };
    const post = (method: string) =>
      client.send('POST', path, { headers: { ...headers, 'x-http-method-override': method }, body: 'abcd' });
    expect((await post('PUT')).status).toBe(405);
    expect((await post('PATCH')).headers['file-id']).toBe(idIn(path));
  });
});

describe('the first account', () => {
  it('sees nothing of the uploads of another one', async () => {
    const path = await newUpload(client, 'f', 4);
    const { client: other } = await signUp(coffer.client);
    expect((await headUpload(other, path)).status).toBe(404);
    expect((await endUpload(other, path)).status).toBe(404);
  });
});
