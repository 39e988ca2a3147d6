import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContentCheck } from '../../src/files/content-check';
import { type FileView } from '../../src/files/file-view';
import { type ActiveFile } from '../../src/files/file.collection';
import { type Doc } from '../../src/store';
import { type Principal } from '../../src/kernel';
import { type FilesRig, openFilesRig } from '../support/files-rig';
import { collectUntilFault, sampleBytes } from '../support/messages';
import { isLong } from '../support/parts';
import { Seeded } from '../support/seeded';

jest.setTimeout(isLong() ? 600_000 : 120_000);

const ROUNDS = isLong() ? 3_000 : 120;
const FRAME = 65_536;
const STRIDE = FRAME + 32;
const SIZE = 5 * FRAME + 1_234;
const random = new Seeded();

let rig: FilesRig;
let owner: Principal;
let file: FileView;
let other: FileView;
let blob: string;
let otherBlob: string;
let stored: Buffer;
let headerBytes: number;

async function pathOf({ id }: FileView): Promise<string> {
  const { blob_id } = (await rig.rows.find('_id', id))!;
  return join(rig.blobFolder, blob_id.slice(0, 2), blob_id);
}

beforeAll(async () => {
  rig = await openFilesRig();
  owner = await rig.newOwner();
  file = await rig.upload(owner, 'file', sampleBytes(SIZE));
  other = await rig.upload(owner, 'other', Buffer.from(sampleBytes(SIZE)).reverse());
  [blob, otherBlob] = [await pathOf(file), await pathOf(other)];
  stored = await readFile(blob);
  headerBytes = stored.length - 5 * STRIDE - 40 - 1_234;
});
afterAll(() => rig.close());
afterEach(() => writeFile(blob, stored));

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
  const check = new ContentCheck(rig.contents, rig.sealer);
  const row = (await rig.rows.find('_id', file.id)) as ActiveFile;
  await expect(check.readThrough(row)).rejects.toMatchObject({ code: 'decryption_failed' });
}

const frame = (sequence: number): Buffer =>
  stored.subarray(headerBytes + (sequence - 1) * STRIDE, headerBytes + sequence * STRIDE);

describe(`a stored file that was changed at rest (COFFER_SEED=${random.seed})`, () => {
  it('is sound before', async () => {
    const { bytes, code } = await served(file.id);
    expect([code, bytes.equals(sampleBytes(SIZE))]).toEqual([undefined, true]);
  });

  it(`by one bit is detected, each of ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      // Every third one in the header, which is small beside the frames.
      const at = random.below(round % 3 === 0 ? headerBytes : stored.length);
      const forged = Buffer.from(stored);
      forged.writeUInt8(forged.readUInt8(at) ^ (1 << random.below(8)), at);
      await writeFile(blob, forged);
      await expectDetected(`a bit of byte ${at}`);
    }
  });

  it('by a cut, at and around each frame and anywhere, is detected', async () => {
    const edges = [0, 1, 2, 3, 4, 5].flatMap((n) => [-1, 0, 1].map((off) => headerBytes + n * STRIDE + off));
    const anywhere = Array.from({ length: 20 }, () => random.below(stored.length));
    for (const size of [0, ...edges, ...anywhere, stored.length - 1]) {
      await writeFile(blob, stored.subarray(0, size));
      await expectDetected(`a cut to ${size} bytes`);
    }
  });

  it('by bytes behind its end is detected', async () => {
    await writeFile(blob, Buffer.concat([stored, Buffer.alloc(1)]));
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
      await writeFile(blob, Buffer.concat([header, ...order.map(frame), last]));
      await expectDetected(`frames ${order.join(' ')}`);
    }
  });

  it('by a frame of another file, or its whole blob, is detected', async () => {
    const theirs = await readFile(otherBlob);
    for (let n = 0; n < 5; n += 1) {
      const at = headerBytes + n * STRIDE;
      const forged = Buffer.from(stored);
      theirs.copy(forged, at, at, at + STRIDE);
      await writeFile(blob, forged);
      await expectDetected(`frame ${n + 1} of another file`);
    }
    await writeFile(blob, theirs);
    await expectDetected('the blob of another file');
  });
});

describe('a row that was changed in the database', () => {
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
