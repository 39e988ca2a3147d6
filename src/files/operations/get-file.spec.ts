import { copyFile, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { collectUntilFault, sampleBytes } from '../../../test/support/messages';
import { MINUTE, Principal, isDomainError } from '../../kernel';

const FRAME = 64 * 1024;
const STRIDE = FRAME + 32;
/** Three frames and a bit more. */
const CONTENT = sampleBytes(3 * FRAME + 1000);

let rig: FilesRig;
let owner: Principal;

beforeAll(async () => {
  rig = await openFilesRig();
});
afterAll(() => rig.close());
beforeEach(async () => {
  owner = await rig.newOwner();
});

const list = async (limit: number, after?: string) => rig.listing.list(owner, { limit, after });

describe('files of an owner', () => {
  it('are listed oldest first, page by page, each once', async () => {
    for (let n = 0; n < 7; n += 1) await rig.upload(owner, `file-${n}`, 'x');
    const names: (string | null)[] = [];
    let after: string | undefined;
    do {
      const page = await list(3, after);
      names.push(...page.files.map((file) => file.name));
      after = page.next;
    } while (after !== undefined);
    expect(names).toEqual(Array.from({ length: 7 }, (_, n) => `file-${n}`));
  });

  it('are found by their exact name only', async () => {
    await rig.upload(owner, 'Report.pdf', 'x');
    const found = async (name: string) => (await rig.listing.listNamed(owner, name)).files.map((file) => file.name);
    expect(await found('Report.pdf')).toEqual(['Report.pdf']);
    for (const name of ['report.pdf', 'Report', 'Report.pdf ', '', '/', '..', 'x'.repeat(300)]) {
      expect(await found(name)).toEqual([]);
    }
  });

  it('are found by how their names begin, page by page, each once, however few match', async () => {
    for (let n = 0; n < 9; n += 1) await rig.upload(owner, n % 2 === 0 ? `even-${n}` : `odd-${n}`, 'x');
    const names: (string | null)[] = [];
    let after: string | undefined;
    do {
      const page = await rig.listing.list(owner, { limit: 2, after, prefix: 'even-' });
      expect(page.files.length).toBeLessThanOrEqual(2);
      names.push(...page.files.map((file) => file.name));
      after = page.next;
    } while (after !== undefined);
    expect(names).toEqual(['even-0', 'even-2', 'even-4', 'even-6', 'even-8']);
    expect((await rig.listing.list(owner, { limit: 5, after: undefined, prefix: 'Even' })).files).toEqual([]);
    expect((await rig.listing.listNamed(owner, 'odd-1', 'even')).files).toEqual([]);
  });

  it('are served by the number of their version, and no other', async () => {
    const { id } = await rig.upload(owner, 'first', 'x');
    const content = await rig.files.content(owner, { id }, { form: 'clear', version: 1 });
    expect(content.size).toBe(1);
    for (const form of ['clear', 'stored'] as const) {
      const asked = rig.files.content(owner, { id }, { form, version: 2 });
      await expect(asked).rejects.toMatchObject({ code: 'file_not_found' });
    }
  });

  it('are not there for anybody else, by id or name, in any way', async () => {
    const { id } = await rig.upload(owner, 'mine', 'x');
    const stranger = await rig.newOwner();
    const missing = { code: 'file_not_found' };
    await expect(rig.files.get(stranger, { id })).rejects.toMatchObject(missing);
    await expect(rig.files.get(stranger, { name: 'mine' })).rejects.toMatchObject(missing);
    await expect(rig.files.content(stranger, { id }, { form: 'clear' })).rejects.toMatchObject(missing);
    await expect(rig.files.content(stranger, { id }, { form: 'stored' })).rejects.toMatchObject(missing);
    await expect(rig.files.exportKey(stranger, id)).rejects.toMatchObject(missing);
    await expect(rig.deletion.remove(stranger, id)).rejects.toMatchObject(missing);
    expect((await rig.listing.list(stranger, { limit: 10, after: undefined })).files).toEqual([]);
    expect((await rig.download(owner, id)).toString()).toBe('x');
  });

  it('are gone at the moment of their expiry, before any sweep', async () => {
    const { id } = await rig.upload(owner, 'short', 'x', { expires_in: '60' });
    rig.clock.forward(MINUTE);
    await expect(rig.files.get(owner, { id })).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(rig.files.get(owner, { name: 'short' })).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(rig.files.content(owner, { id }, { form: 'clear' })).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(rig.files.exportKey(owner, id)).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(rig.deletion.remove(owner, id)).rejects.toMatchObject({ code: 'file_not_found' });
    expect((await list(10)).files).toEqual([]);
  });

  it('are gone when removed, and their names are free at once', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.deletion.remove(owner, id);
    await expect(rig.files.get(owner, { id })).rejects.toMatchObject({ code: 'file_not_found' });
    await expect(rig.deletion.remove(owner, id)).rejects.toMatchObject({ code: 'file_not_found' });
    const again = await rig.upload(owner, 'a', 'second');
    expect((await rig.download(owner, again.id)).toString()).toBe('second');
  });

  it('are removed once where several ask for it at the same time', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => rig.deletion.remove(owner, id)));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it('keep the key of a removed one nowhere', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    const row = await rig.removal.begin(id, () => true);
    expect(Object.keys(row ?? {})).not.toEqual(expect.arrayContaining(['file_key']));
    expect(Object.keys(row ?? {})).not.toEqual(expect.arrayContaining(['name_index']));
    await rig.removal.finish(row!);
  });

  it('log who read, exported and removed what', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.download(owner, id);
    await rig.files.exportKey(owner, id);
    await rig.deletion.remove(owner, id);
    const entries = (await rig.auditEntries()).filter(({ resource }) => resource === `file/${id}`);
    expect(entries.map(({ action, phase, outcome }) => [action, phase, outcome])).toEqual([
      ['file.upload', 'intent', undefined],
      ['file.upload', 'outcome', 'done'],
      ['file.download', 'read', undefined],
      ['file.key-export', 'intent', undefined],
      ['file.key-export', 'outcome', 'done'],
      ['file.delete', 'intent', undefined],
      ['file.delete', 'outcome', 'done'],
    ]);
    expect(entries.every(({ actor }) => actor === owner.ownerId)).toBe(true);
  });
});

describe('a stored content', () => {
  let id: string;
  let path: string;
  let headerBytes: number;

  const pathOf = async (fileId: string): Promise<string> => {
    const row = await rig.rows.find('_id', fileId);
    return join(rig.blobFolder, row!.blob_id.slice(0, 2), row!.blob_id);
  };

  beforeEach(async () => {
    const view = await rig.upload(owner, 'content', CONTENT);
    id = view.id;
    path = await pathOf(id);
    headerBytes = view.encrypted_size - CONTENT.length - 3 * 32 - 40;
  });

  it.each([
    [0, 0],
    [0, FRAME - 1],
    [FRAME - 1, FRAME],
    [FRAME, 2 * FRAME],
    [3 * FRAME, CONTENT.length - 1],
    [CONTENT.length - 1, CONTENT.length - 1],
    [0, CONTENT.length - 1],
    [100_000, 150_000],
  ])('serves bytes %d to %d', async (start, end) => {
    const bytes = await rig.download(owner, id, { start, end });
    expect(bytes.equals(CONTENT.subarray(start, end + 1))).toBe(true);
  });

  const alter = async (change: (bytes: Buffer) => Buffer): Promise<void> =>
    writeFile(path, change(await readFile(path)));

  const flipped = (at: number) => (bytes: Buffer) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  };

  /** Never a wrong byte: refused before the first one, or right bytes and then a fault. */
  async function expectNeverWrong(): Promise<{ served: number }> {
    let stream;
    try {
      stream = await (await rig.files.content(owner, { id }, { form: 'clear' })).open(undefined);
    } catch (error) {
      expect(isDomainError(error, 'decryption_failed')).toBe(true);
      return { served: 0 };
    }
    const { bytes, fault } = await collectUntilFault(stream as AsyncIterable<Uint8Array>);
    expect(isDomainError(fault, 'decryption_failed')).toBe(true);
    expect(bytes.equals(CONTENT.subarray(0, bytes.length))).toBe(true);
    return { served: bytes.length };
  }

  it.each([
    ['the version', 0],
    ['the suite', 1],
    ['the message id', 10],
    ['the context', 60],
    ['the wrapped data key', 200],
  ])('with a bit flipped in %s of the header is refused', async (_, at) => {
    await alter(flipped(at));
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('with a bit flipped in the first frame is refused before a byte', async () => {
    await alter(flipped(headerBytes + 5000));
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('with a bit flipped in a later frame breaks off there', async () => {
    await alter(flipped(headerBytes + 2 * STRIDE + 100));
    const { served } = await expectNeverWrong();
    expect(served).toBeLessThanOrEqual(2 * FRAME);
  });

  it('serves a range of frames that are whole beside one that is not', async () => {
    await alter(flipped(headerBytes + 2 * STRIDE + 100));
    const bytes = await rig.download(owner, id, { start: 10, end: FRAME + 10 });
    expect(bytes.equals(CONTENT.subarray(10, FRAME + 11))).toBe(true);
    await expect(rig.download(owner, id, { start: 2 * FRAME, end: 2 * FRAME })).rejects.toMatchObject({
      code: 'decryption_failed',
    });
  });

  it.each([1, 40, STRIDE, 2 * STRIDE + 40])('cut by %d bytes is refused, ranges of its beginning too', async (cut) => {
    await truncate(path, (await readFile(path)).length - cut);
    expect(await expectNeverWrong()).toEqual({ served: 0 });
    await expect(rig.download(owner, id, { start: 0, end: 0 })).rejects.toMatchObject({ code: 'decryption_failed' });
  });

  it('with bytes behind its end is refused', async () => {
    await alter((bytes) => Buffer.concat([bytes, Buffer.from('more')]));
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('with two frames swapped is refused', async () => {
    await alter((bytes) => {
      const frame = (n: number): Buffer => bytes.subarray(headerBytes + n * STRIDE, headerBytes + (n + 1) * STRIDE);
      const [first, second] = [Buffer.from(frame(0)), Buffer.from(frame(1))];
      second.copy(frame(0));
      first.copy(frame(1));
      return bytes;
    });
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('replaced by the blob of another file of the same size is refused', async () => {
    const other = await rig.upload(owner, 'other', CONTENT);
    await copyFile(await pathOf(other.id), path);
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('swapped with the blob of another owner is refused, both ways', async () => {
    const stranger = await rig.newOwner();
    const theirs = await rig.upload(stranger, 'content', CONTENT);
    const theirPath = await pathOf(theirs.id);
    await rename(path, `${path}-x`);
    await rename(theirPath, path);
    await rename(`${path}-x`, theirPath);
    expect(await expectNeverWrong()).toEqual({ served: 0 });
    await expect(rig.download(stranger, theirs.id)).rejects.toMatchObject({ code: 'decryption_failed' });
  });

  it('put back after the file was replaced under the same name is refused', async () => {
    const former = await readFile(path);
    await rig.deletion.remove(owner, id);
    const again = await rig.upload(owner, 'content', sampleBytes(CONTENT.length));
    id = again.id;
    path = await pathOf(again.id);
    await writeFile(path, former);
    expect(await expectNeverWrong()).toEqual({ served: 0 });
  });

  it('that is not there any more is refused', async () => {
    await rename(path, `${path}-x`);
    expect(await expectNeverWrong()).toEqual({ served: 0 });
    await expect((await rig.files.content(owner, { id }, { form: 'stored' })).open(undefined)).rejects.toMatchObject({
      code: 'decryption_failed',
    });
  });

  it('that does not verify is noted in the log, also when that shows late', async () => {
    await alter(flipped(headerBytes + 2 * STRIDE + 100));
    await expectNeverWrong();
    const entries = (await rig.auditEntries()).filter(
      (entry) => entry.resource === `file/${id}` && entry.phase === 'note' && entry.action === 'file.download',
    );
    expect(entries).toEqual([
      expect.objectContaining({
        action: 'file.download',
        outcome: 'failed',
        details: expect.objectContaining({ code: 'decryption_failed' }) as unknown,
      }),
    ]);
  });

  it('gives the stored message as it is, with its own tag and size', async () => {
    const clear = await rig.files.content(owner, { id }, { form: 'clear' });
    const stored = await rig.files.content(owner, { id }, { form: 'stored' });
    const { bytes } = await collectUntilFault((await stored.open({ start: 5, end: 99 })) as AsyncIterable<Uint8Array>);
    expect(bytes.equals((await readFile(path)).subarray(5, 100))).toBe(true);
    expect(stored.size).toBe((await readFile(path)).length);
    expect(stored.etag).not.toBe(clear.etag);
  });
});

describe('the rows of files', () => {
  it('that somebody changed in the database are refused', async () => {
    const { id } = await rig.upload(owner, 'a', 'mine');
    const { definition } = rig.rows;
    const fields = { ...definition.fields, seal: 'string' } as typeof definition.fields;
    const raw = rig.engine.collection({ ...definition, fields });
    const row = await raw.find('_id', id);
    const stranger = await rig.newOwner();
    await raw.replace({ ...row!, owner_id: stranger.ownerId });
    await expect(rig.files.get(stranger, { id })).rejects.toMatchObject({ code: 'integrity_failed' });
    await expect(rig.listing.list(stranger, { limit: 10, after: undefined })).rejects.toMatchObject({
      code: 'integrity_failed',
    });
    await rig.rows.remove(id);
  });
});

describe('files under a new version of their owner’s key', () => {
  it('are wrapped and sealed again, all of them, and open as before', async () => {
    const made = [];
    for (let n = 0; n < 5; n += 1) made.push(await rig.upload(owner, `file-${n}`, `content ${n}`));
    await rig.addUserKeyVersion(owner.ownerId);
    expect(await rig.owned.rewrap(owner.ownerId)).toBe(5);
    expect(await rig.owned.reencrypt(owner.ownerId)).toBe(5);
    expect(await rig.owned.rewrap(owner.ownerId)).toBe(0);
    expect(await rig.owned.reencrypt(owner.ownerId)).toBe(0);
    const rows = (await rig.allRows()).filter((row) => row.owner_id === owner.ownerId);
    expect(rows.map((row) => [row.wrap_version, row.seal_version])).toEqual(Array(5).fill([2, 2]));
    expect((await list(10)).files).toEqual(made);
    for (const [n, { id }] of made.entries()) {
      expect((await rig.download(owner, id)).toString()).toBe(`content ${n}`);
    }
  });

  it('hold up nobody: one that does not open is passed over and noted', async () => {
    const broken = await rig.upload(owner, 'broken', 'x');
    await rig.upload(owner, 'whole', 'y');
    const row = await rig.rows.find('_id', broken.id);
    await rig.rows.replace({ ...row!, file_key: row!.file_key!.replace(/.$/, (last) => (last === '0' ? '1' : '0')) });
    await rig.addUserKeyVersion(owner.ownerId);
    expect(await rig.owned.rewrap(owner.ownerId)).toBe(1);
    const notes = (await rig.auditEntries()).filter(({ action }) => action === 'file.rewrap');
    expect(notes).toEqual([expect.objectContaining({ outcome: 'failed', resource: `file/${broken.id}` })]);
  });

  it('are new ones and old ones side by side before that', async () => {
    const old = await rig.upload(owner, 'old', 'old');
    await rig.addUserKeyVersion(owner.ownerId);
    const young = await rig.upload(owner, 'young', 'young');
    expect((await rig.download(owner, old.id)).toString()).toBe('old');
    expect((await rig.download(owner, young.id)).toString()).toBe('young');
    await expect(rig.upload(owner, 'old', 'again')).rejects.toMatchObject({ code: 'file_exists' });
  });
});

describe('files of an account that ends', () => {
  it('go with everything they had, and without their key; those of others stay', async () => {
    const other = await rig.newOwner();
    const kept = await rig.upload(other, 'kept', 'kept');
    for (let n = 0; n < 5; n += 1) await rig.upload(owner, `file-${n}`, 'x');
    const before = (await rig.blobIds()).length;
    await rig.userKeys.destroy(owner.ownerId);
    expect(await rig.owned.eraseUser(owner.ownerId)).toBe(5);
    expect(await rig.owned.eraseUser(owner.ownerId)).toBe(0);
    expect((await rig.allRows()).filter((row) => row.owner_id === owner.ownerId)).toEqual([]);
    expect((await rig.blobIds()).length).toBe(before - 5);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
    expect((await rig.download(other, kept.id)).toString()).toBe('kept');
  });
});
