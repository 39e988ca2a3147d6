import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { S3BlobStore } from '../../src/blobs/s3';
import { type FileView } from '../../src/files/model/file';
import { type ActiveFile } from '../../src/files/model/file.collection';
import { type Doc } from '../../src/store';
import { newId, type Principal } from '../../src/kernel';
import { type FilesRig, openFilesRig } from '../support/files-rig';
import { collectUntilFault, sampleBytes } from '../support/messages';
import { describeWithPart, isLong, startS3 } from '../support/parts';
import { Seeded } from '../support/seeded';

jest.setTimeout(isLong() ? 600_000 : 120_000);

const ROUNDS = isLong() ? 3_000 : 120;
const FRAME = 65_536;
const STRIDE = FRAME + 32;
const SIZE = 5 * FRAME + 1_234;
const random = new Seeded();

/** The files fixture on some blob store, and its blobs behind its back. */
interface AtRest {
  readonly rig: FilesRig;
  read(blobId: string): Promise<Buffer>;
  write(blobId: string, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

async function onFileSystem(): Promise<AtRest> {
  const rig = await openFilesRig();
  const pathOf = (id: string): string => join(rig.blobFolder, id.slice(0, 2), id);
  return {
    rig,
    read: (id) => readFile(pathOf(id)),
    write: (id, bytes) => writeFile(pathOf(id), bytes),
    close: () => rig.close(),
  };
}

async function onS3(): Promise<AtRest> {
  const server = await startS3();
  const store = new S3BlobStore(server.address(), { createBucket: true });
  await store.open(newId());
  const rig = await openFilesRig({ blobs: () => store });
  return {
    rig,
    read: (id) => server.read(`blobs/${id}`),
    write: (id, bytes) => server.write(`blobs/${id}`, bytes),
    close: async () => {
      await rig.close();
      await server.stop();
    },
  };
}

let place: AtRest;
let rig: FilesRig;
let owner: Principal;
let file: FileView;
let other: FileView;
let blob: string;
let otherBlob: string;
let stored: Buffer;
let headerBytes: number;

const blobOf = async ({ id }: FileView): Promise<string> => (await rig.rows.find('_id', id))!.blob_id;
const forge = (bytes: Buffer): Promise<void> => place.write(blob, bytes);

function twoFiles(open: () => Promise<AtRest>): void {
  beforeAll(async () => {
    place = await open();
    rig = place.rig;
    owner = await rig.newOwner();
    file = await rig.upload(owner, 'file', sampleBytes(SIZE));
    other = await rig.upload(owner, 'other', Buffer.from(sampleBytes(SIZE)).reverse());
    [blob, otherBlob] = [await blobOf(file), await blobOf(other)];
    stored = await place.read(blob);
    headerBytes = stored.length - 5 * STRIDE - 40 - 1_234;
  });
  afterAll(() => place.close());
}

/** What a download gives before it breaks, and the code of its fault. */
async function served(id: string): Promise<{ bytes: Buffer; code: string | undefined }> {
  try {
    const stream = await (await rig.files.content(owner, { id }, { form: 'clear' })).open(undefined);
    const { bytes, fault } = await collectUntilFault(stream);
    return { bytes, code: (fault as { code?: string } | undefined)?.code };
  } catch (fault) {
    return { bytes: Buffer.alloc(0), code: (fault as { code?: string }).code };
  }
}

/** Refused, and nothing given that is not the file's: whole frames that verified, at most. */
async function expectDetected(what: string): Promise<void> {
  const { bytes, code } = await served(file.id);
  const verified = bytes.equals(sampleBytes(SIZE).subarray(0, bytes.length));
  expect({ what, code, verified, frames: bytes.length % FRAME }).toEqual({
    ...{ what, code: 'decryption_failed', verified: true, frames: 0 },
  });
  const row = (await rig.rows.find('_id', file.id)) as ActiveFile;
  await expect(rig.contents.readThrough(row)).rejects.toMatchObject({ code: 'decryption_failed' });
}

const frame = (sequence: number): Buffer =>
  stored.subarray(headerBytes + (sequence - 1) * STRIDE, headerBytes + sequence * STRIDE);

function changedAtRest(open: () => Promise<AtRest>, rounds: number): void {
  twoFiles(open);
  afterEach(() => forge(stored));

  it('is sound before', async () => {
    const { bytes, code } = await served(file.id);
    expect([code, bytes.equals(sampleBytes(SIZE))]).toEqual([undefined, true]);
  });

  it(`by one bit is detected, each of ${rounds} times`, async () => {
    for (let round = 0; round < rounds; round += 1) {
      // Every third one in the header, which is small beside the frames.
      const at = random.below(round % 3 === 0 ? headerBytes : stored.length);
      const forged = Buffer.from(stored);
      forged.writeUInt8(forged.readUInt8(at) ^ (1 << random.below(8)), at);
      await forge(forged);
      await expectDetected(`a bit of byte ${at}`);
    }
  });

  it('by a cut, at and around each frame and anywhere, is detected', async () => {
    const edges = [0, 1, 2, 3, 4, 5].flatMap((n) => [-1, 0, 1].map((off) => headerBytes + n * STRIDE + off));
    const anywhere = Array.from({ length: 20 }, () => random.below(stored.length));
    for (const size of [0, ...edges, ...anywhere, stored.length - 1]) {
      await forge(stored.subarray(0, size));
      await expectDetected(`a cut to ${size} bytes`);
    }
  });

  it('by bytes behind its end is detected', async () => {
    await forge(Buffer.concat([stored, Buffer.alloc(1)]));
    await expectDetected('a byte more');
  });

  it('by frames in another order, doubled or missing is detected', async () => {
    const header = stored.subarray(0, headerBytes);
    const last = stored.subarray(headerBytes + 5 * STRIDE);
    for (const order of [
      [2, 1, 3, 4, 5],
      [1, 2, 4, 3, 5],
      [1, 2, 3, 5, 4],
      [1, 1, 3, 4, 5],
      [1, 2, 3, 3, 5],
      [1, 2, 3, 4],
    ]) {
      await forge(Buffer.concat([header, ...order.map(frame), last]));
      await expectDetected(`frames ${order.join(' ')}`);
    }
  });

  it('by a frame of another file, or its whole blob, is detected', async () => {
    const theirs = await place.read(otherBlob);
    for (let n = 0; n < 5; n += 1) {
      const at = headerBytes + n * STRIDE;
      const forged = Buffer.from(stored);
      theirs.copy(forged, at, at, at + STRIDE);
      await forge(forged);
      await expectDetected(`frame ${n + 1} of another file`);
    }
    await forge(theirs);
    await expectDetected('the blob of another file');
  });
}

const seed = `(COFFER_SEED=${random.seed})`;
describe(`a file on the file system that was changed at rest ${seed}`, () => changedAtRest(onFileSystem, ROUNDS));
describeWithPart('moto', `a file on S3 that was changed at rest ${seed}`, () => changedAtRest(onS3, ROUNDS / 4));

describe('a row that was changed in the database', () => {
  twoFiles(onFileSystem);

  const raw = () => {
    const { definition } = rig.rows;
    const fields = { ...definition.fields, seal: 'string' };
    return rig.engine.collection<Doc & Record<string, unknown>>({ ...definition, fields } as never);
  };

  it.each(['blob_id', 'file_key', 'meta', 'name', 'size', 'encrypted_size', 'version', 'owner_id', 'seal'])(
    'in its %s, by the value of another file, opens nothing',
    async (field) => {
      const [mine, theirs] = [(await raw().find('_id', file.id))!, (await raw().find('_id', other.id))!];
      const value = mine[field] === theirs[field] ? changed(theirs[field]) : theirs[field];
      // A unique index would refuse a blob id that is taken: the other row gives it up.
      if (field === 'blob_id') await raw().replace({ ...theirs, blob_id: 'elsewhere' });
      const now = (await raw().replace({ ...(await raw().find('_id', file.id))!, [field]: value }))!;
      const { bytes, code } = await served(file.id);
      expect([bytes.length, code]).toEqual([0, 'integrity_failed']);
      const back = (await raw().find('_id', other.id))!;
      await raw().replace({ ...mine, rev: now.rev });
      await raw().replace({ ...theirs, rev: back.rev });
    },
  );
});

const changed = (value: unknown): unknown => (typeof value === 'number' ? value + 1 : `${String(value)}x`);
