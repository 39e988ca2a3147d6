import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { sampleBytes } from '../../../test/support/messages';
import { BlobStore } from '../../blobs';
import { sha256 } from '../../crypto';
import { DomainError, MINUTE, Principal } from '../../kernel';

const hexDigest = (bytes: Buffer | string): string => sha256(bytes).toString('hex');

describe('an upload', () => {
  let rig: FilesRig;
  let owner: Principal;

  beforeEach(async () => {
    rig = await openFilesRig({ maxSize: 5_000_000, userQuota: 8_000_000 });
    owner = await rig.newOwner();
  });
  afterEach(() => rig.close());

  it('becomes a file with all that is known of it', async () => {
    const content = sampleBytes(200_000);
    const view = await rig.upload(owner, 'a.bin', content, {
      content_type: 'image/png',
      expires_in: '60',
      client_encrypted: 'true',
      envelope: '{"k":1}',
    });
    expect(view).toMatchObject({
      name: 'a.bin',
      size: 200_000,
      content_type: 'image/png',
      sha256: hexDigest(content),
      version: 1,
      client_encrypted: true,
      envelope: { k: 1 },
    });
    expect(Date.parse(view.expires_at ?? '') - Date.parse(view.created_at)).toBe(60_000);
    expect((await rig.download(owner, view.id)).equals(content)).toBe(true);
    expect(await rig.files.get(owner, { name: 'a.bin' })).toEqual(view);
  });

  it('may be of an empty file', async () => {
    const view = await rig.upload(owner, 'empty', '');
    expect(view).toMatchObject({ size: 0, sha256: hexDigest('') });
    expect(await rig.download(owner, view.id)).toHaveLength(0);
  });

  it('leaves neither its name nor its content in clear anywhere', async () => {
    const marker = 'MARKER-a8f3';
    await rig.upload(owner, `${marker}.name`, `${marker} content`, {
      content_type: `text/${marker}`,
      client_encrypted: 'true',
      envelope: JSON.stringify(marker),
    });
    for (const path of await readdir(rig.folder, { recursive: true })) {
      const bytes = await readFile(join(rig.folder, path)).catch(() => Buffer.alloc(0));
      expect([path, bytes.includes(marker)]).toEqual([path, false]);
    }
  });

  it('takes no name from the blob: two with the same content have different ones, and different bytes', async () => {
    await rig.upload(owner, 'one', 'same');
    await rig.upload(owner, 'two', 'same');
    const [one, two] = await rig.blobIds();
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(one).not.toBe(two);
    const read = (id: string): Promise<Buffer> => readFile(join(rig.blobFolder, id.slice(0, 2), id));
    expect((await read(one!)).equals(await read(two!))).toBe(false);
  });

  const expectRefused = async (attempt: Promise<unknown>, code: string): Promise<void> => {
    await expect(attempt).rejects.toMatchObject({ code });
    expect(await rig.isEmpty()).toBe(true);
    const usage = await rig.usageOf(owner.ownerId);
    expect(usage === undefined || (usage.bytes === 0 && Object.keys(usage.marks).length === 0)).toBe(true);
  };

  it('with another SHA-256 than expected leaves nothing', async () => {
    const wrong = { sha256: hexDigest('other') };
    await expectRefused(rig.upload(owner, 'a', sampleBytes(100_000), wrong), 'checksum_mismatch');
  });

  it('beyond the largest size leaves nothing', async () => {
    await expectRefused(rig.upload(owner, 'a', sampleBytes(5_000_001)), 'too_large');
  });

  it('that says beforehand that it is too large is not even begun', async () => {
    const request = { name: 'a', contentType: 'a/b', expiresInMs: undefined, sha256: undefined } as never;
    const untouched = {
      [Symbol.asyncIterator]: () => {
        throw new Error('read');
      },
    };
    await expectRefused(rig.uploads.upload(owner, request, untouched, 5_000_001), 'too_large');
  });

  it('whose source breaks leaves nothing, and passes on why', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(sampleBytes(2_000_000));
      throw new DomainError('validation_failed', { detail: 'broke off' });
    }
    await expectRefused(rig.upload(owner, 'a', broken()), 'validation_failed');
  });

  it('beyond the quota leaves nothing more than there was', async () => {
    await rig.upload(owner, 'first', sampleBytes(4_000_000));
    await expect(rig.upload(owner, 'second', sampleBytes(4_000_001))).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(await rig.allRows()).toHaveLength(1);
    expect(await rig.blobIds()).toHaveLength(1);
    await rig.upload(owner, 'third', sampleBytes(4_000_000));
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 8_000_000, marks: {} });
  });

  it('stops taking bytes where the quota ends', async () => {
    await rig.upload(owner, 'first', sampleBytes(4_000_000));
    await rig.upload(owner, 'more', sampleBytes(3_000_000));
    let given = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        given += 65_536;
        yield await Promise.resolve(Buffer.alloc(65_536));
      }
    }
    await expect(rig.upload(owner, 'endless', endless())).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(given).toBeLessThan(1_000_000 + 5 * 1024 * 1024);
  });

  it('never passes the quota together with 49 others at once', async () => {
    await rig.upload(owner, 'base', sampleBytes(3_999_999));
    await rig.upload(owner, 'base2', sampleBytes(4_000_000));
    const attempts = Array.from({ length: 50 }, (_, n) => rig.upload(owner, `racer-${n}`, 'x'));
    const outcomes = await Promise.allSettled(attempts);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(49);
    expect(refused.every(({ reason }) => (reason as DomainError).code === 'quota_exceeded')).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 8_000_000 });
    expect(await rig.blobIds()).toHaveLength(3);
    expect(await rig.allRows()).toHaveLength(3);
  });

  it('under a taken name is refused before its content is read', async () => {
    await rig.upload(owner, 'a', 'first');
    async function* untouched(): AsyncGenerator<Buffer> {
      throw await Promise.resolve(new Error('read'));
    }
    await expect(rig.upload(owner, 'a', untouched())).rejects.toMatchObject({ code: 'file_exists' });
    expect(await rig.allRows()).toHaveLength(1);
  });

  it('wins a name alone against others that come at the same time', async () => {
    const attempts = Array.from({ length: 10 }, (_, n) => rig.upload(owner, 'same', `content ${n}`));
    const outcomes = await Promise.allSettled(attempts);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await rig.allRows()).toHaveLength(1);
    expect(await rig.blobIds()).toHaveLength(1);
    expect((await rig.usageOf(owner.ownerId))?.bytes).toBe(9);
  });

  it('may have the name of a file of another owner', async () => {
    const other = await rig.newOwner();
    await rig.upload(owner, 'a', 'mine');
    const theirs = await rig.upload(other, 'a', 'theirs');
    expect((await rig.download(other, theirs.id)).toString()).toBe('theirs');
  });

  it('takes the name of a file that has expired, swept or not', async () => {
    const first = await rig.upload(owner, 'a', 'first', { expires_in: '60' });
    rig.clock.forward(MINUTE);
    const second = await rig.upload(owner, 'a', 'second');
    expect(second.id).not.toBe(first.id);
    expect((await rig.download(owner, second.id)).toString()).toBe('second');
  });

  it('is invisible until its content is there', async () => {
    async function* watched(): AsyncGenerator<Buffer> {
      yield Buffer.from('half');
      expect((await rig.listing.list(owner, { limit: 10, after: undefined })).files).toEqual([]);
      await expect(rig.files.get(owner, { name: 'a' })).rejects.toMatchObject({ code: 'file_not_found' });
      const [row] = await rig.allRows();
      expect(row).toMatchObject({ state: 'pending' });
      await expect(rig.files.get(owner, { id: row!._id })).rejects.toMatchObject({ code: 'file_not_found' });
    }
    await rig.upload(owner, 'a', watched());
    expect((await rig.listing.list(owner, { limit: 10, after: undefined })).files).toHaveLength(1);
  });

  it('is logged before it begins and when it has ended, without its name', async () => {
    const view = await rig.upload(owner, 'secret-name', 'x');
    await expect(rig.upload(owner, 'secret-name', 'x')).rejects.toMatchObject({ code: 'file_exists' });
    const entries = (await rig.auditEntries()).filter(({ action }) => action === 'file.upload');
    expect(entries.map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['intent', undefined],
      ['outcome', 'done'],
      ['note', 'refused'],
    ]);
    expect(entries[0]).toMatchObject({ actor: owner.ownerId, resource: `file/${view.id}` });
    expect(JSON.stringify(entries)).not.toContain('secret-name');
  });

  it('that was given up by the sweeper ends in a conflict and leaves nothing', async () => {
    async function* slept(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(sampleBytes(100_000));
      await rig.sweepAfter(10 * MINUTE);
      expect(await rig.allRows()).toEqual([]);
    }
    await expectRefused(rig.upload(owner, 'a', slept()), 'conflict');
  });

  it('gets its row wrapped again by a rotation in the middle of it, and still becomes a file', async () => {
    async function* rotated(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(Buffer.from('before '));
      await rig.addUserKeyVersion(owner.ownerId);
      expect(await rig.owned.rewrap(owner.ownerId)).toBe(1);
      expect(await rig.owned.reencrypt(owner.ownerId)).toBe(1);
      yield Buffer.from('after');
    }
    const view = await rig.upload(owner, 'a', rotated());
    expect(await rig.allRows()).toEqual([expect.objectContaining({ wrap_version: 2, seal_version: 2 })]);
    expect((await rig.download(owner, view.id)).toString()).toBe('before after');
  });

  it('of an owner whose account is erased meanwhile ends, and leaves nothing', async () => {
    async function* erased(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(Buffer.from('x'));
      await rig.userKeys.destroy(owner.ownerId);
      await rig.owned.eraseUser(owner.ownerId);
    }
    await expect(rig.upload(owner, 'a', erased())).rejects.toBeInstanceOf(DomainError);
    expect(await rig.isEmpty()).toBe(true);
  });
});

describe('an upload onto a blob store that fails', () => {
  it('passes on storage_full and leaves nothing', async () => {
    class Full extends BlobStore {
      constructor(private readonly real: BlobStore) {
        super();
      }
      async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
        async function* untilFull(): AsyncGenerator<Uint8Array> {
          for await (const chunk of source) {
            yield chunk;
            throw new DomainError('storage_full');
          }
        }
        return this.real.put(id, untilFull());
      }
      get: BlobStore['get'] = (id, range) => this.real.get(id, range);
      size: BlobStore['size'] = (id) => this.real.size(id);
      remove: BlobStore['remove'] = (id) => this.real.remove(id);
      discard: BlobStore['discard'] = (id) => this.real.discard(id);
      list: BlobStore['list'] = (options) => this.real.list(options);
      sweep: BlobStore['sweep'] = (ageMs) => this.real.sweep(ageMs);
      open: BlobStore['open'] = (installationId) => this.real.open(installationId);
      ping: BlobStore['ping'] = () => this.real.ping();
    }
    const rig = await openFilesRig({ blobs: (real) => new Full(real) });
    try {
      const owner = await rig.newOwner();
      await expect(rig.upload(owner, 'a', sampleBytes(100_000))).rejects.toMatchObject({ code: 'storage_full' });
      expect(await rig.isEmpty()).toBe(true);
    } finally {
      await rig.close();
    }
  });
});

describe('uploads of many owners at once, with no key in the cache', () => {
  it('are all kept under the keys of their owners, and read back whole', async () => {
    const crowded = await openFilesRig({ cacheSeconds: 0 });
    try {
      const owners = await Promise.all(Array.from({ length: 8 }, () => crowded.newOwner()));
      const content = (at: number): Buffer => sampleBytes(200_000 + at);
      const stored = await Promise.all(
        Array.from({ length: 24 }, async (_, at) => {
          const of = owners[at % owners.length]!;
          const { id } = await crowded.upload(of, `file-${at}`, content(at));
          return { of, id, at };
        }),
      );
      const read = await Promise.all(
        stored.map(async ({ of, id, at }) => (await crowded.download(of, id)).equals(content(at))),
      );
      expect(read).toEqual(stored.map(() => true));
    } finally {
      await crowded.close();
    }
  });
});
