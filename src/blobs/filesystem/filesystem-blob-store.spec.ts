import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { SmallDisk, describeWithSmallDisk, smallDisk } from '../../../test/support/small-disk';
import { HOUR, MINUTE } from '../../kernel';
import { FilesystemBlobStore } from './filesystem-blob-store';

const source = (bytes: Buffer): Readable => Readable.from([bytes]);
const newBlobId = (): string => randomBytes(16).toString('hex');

describe('the blob store on the file system', () => {
  let folder: string;
  let store: FilesystemBlobStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-blobs-'));
    store = new FilesystemBlobStore(folder);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('spreads blobs over folders by the first two characters of their ids', async () => {
    await store.put('ab12', source(Buffer.from('x')));
    expect(await readFile(join(folder, 'ab', 'ab12'), 'utf8')).toBe('x');
  });

  it('lets nobody but its own account read files and folders', async () => {
    await store.put('ab12', source(Buffer.from('x')));
    const modes = await Promise.all(
      ['partial', 'ab', 'ab/ab12'].map(async (path) => (await stat(join(folder, path))).mode & 0o777),
    );
    expect(modes.map((mode) => mode.toString(8))).toEqual(['700', '700', '600']);
  });

  it('leaves no partial file behind a put that failed', async () => {
    const broken = Readable.from(
      (function* () {
        yield randomBytes(3_000_000);
        throw new Error('broken');
      })(),
    );
    await expect(store.put('ab12', broken)).rejects.toThrow('broken');
    expect(await readdir(join(folder, 'partial'))).toEqual([]);
  });

  it('keeps a blob whole whose first bytes go to the disk while the next ones come', async () => {
    const bytes = randomBytes(40 * 1024 * 1024);
    const parts = Array.from({ length: 80 }, (_, index) => bytes.subarray(index * 524_288, (index + 1) * 524_288));
    expect(await store.put('ab12', Readable.from(parts))).toBe(bytes.length);
    expect((await readFile(join(folder, 'ab', 'ab12'))).equals(bytes)).toBe(true);
  });

  it('removes at its start what a killed process left hours ago, and nothing younger', async () => {
    await store.ping();
    const ago = (ms: number): Date => new Date(Date.now() - ms);
    for (const name of ['old', 'young']) await writeFile(join(folder, 'partial', name), 'rest');
    await utimes(join(folder, 'partial', 'old'), ago(7 * HOUR), ago(7 * HOUR));
    await utimes(join(folder, 'partial', 'young'), ago(5 * MINUTE), ago(5 * MINUTE));
    await new FilesystemBlobStore(folder).ping();
    expect(await readdir(join(folder, 'partial'))).toEqual(['young']);
  });

  it('does not list what is no blob', async () => {
    await store.put('ab12', source(Buffer.from('x')));
    await writeFile(join(folder, 'ab', '.DS_Store'), '');
    await writeFile(join(folder, 'README'), '');
    const ids: string[] = [];
    for await (const id of store.list()) ids.push(id);
    expect(ids).toEqual(['ab12']);
  });

  it('answers store_unavailable where its folder cannot be', async () => {
    await writeFile(join(folder, 'file'), '');
    const misplaced = new FilesystemBlobStore(join(folder, 'file', 'blobs'));
    await expect(misplaced.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(misplaced.put('ab12', source(Buffer.from('x')))).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

describeWithSmallDisk('the blob store on a full disk', () => {
  let disk: SmallDisk;
  let store: FilesystemBlobStore;

  const useDisk = (mebibytes: number, inodes?: number): void => {
    disk = smallDisk(mebibytes, inodes);
    store = new FilesystemBlobStore(join(disk.path, 'blobs'));
  };

  afterEach(() => disk.remove());

  const expectNoPartial = async (): Promise<void> =>
    expect(await readdir(join(disk.path, 'blobs/partial'))).toEqual([]);

  it('refuses with storage_full when the bytes are used up, reads on, and recovers without a restart', async () => {
    useDisk(4);
    const kept = randomBytes(2_000_000);
    const [keptId, otherId] = [newBlobId(), newBlobId()];
    await store.put(keptId, source(kept));
    const tooMuch = Readable.from(Array.from({ length: 50 }, () => randomBytes(100_000)));
    await expect(store.put(otherId, tooMuch)).rejects.toMatchObject({ code: 'storage_full' });
    await expectNoPartial();
    expect((await buffer(await store.get(keptId))).equals(kept)).toBe(true);
    expect(await store.size(otherId)).toBeUndefined();
    await store.put(otherId, source(randomBytes(1_000_000)));
    expect(await store.size(otherId)).toBe(1_000_000);
  });

  it('refuses with storage_full when the inodes are used up, reads on, and recovers without a restart', async () => {
    useDisk(8, 12);
    const ids: string[] = [];
    const fill = async (): Promise<void> => {
      for (;;) {
        const id = newBlobId();
        await store.put(id, source(Buffer.from('x')));
        ids.push(id);
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'storage_full' });
    expect(ids.length).toBeGreaterThan(0);
    await expectNoPartial();
    expect(await buffer(await store.get(ids[0]!))).toHaveLength(1);
    await store.remove(ids[0]!);
    await store.put(ids[0]!, source(Buffer.from('again')));
    expect(await store.size(ids[0]!)).toBe(5);
  });
});
