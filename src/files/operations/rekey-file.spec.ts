import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesLooks } from '../../../test/support/files-looks';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { sampleBytes } from '../../../test/support/messages';
import { Principal } from '../../kernel';

let rig: FilesRig;
let owner: Principal;

beforeEach(async () => {
  rig = await openFilesRig({ userQuota: 10_000_000 });
  owner = await rig.newOwner();
});
afterEach(() => rig.close());

const { text, rowOf, bytesCounted, atRest } = filesLooks(() => ({ rig, owner }));

describe('new file keys', () => {
  it('come for all versions, with new messages, and nothing else changes for readers', async () => {
    const content = sampleBytes(700_000);
    const { id } = await rig.upload(owner, 'a', content);
    await rig.replace(owner, id, 'second');
    const tags = async (form: 'clear' | 'stored'): Promise<string[]> =>
      Promise.all([1, 2].map(async (version) => (await rig.files.content(owner, { id }, { form, version })).etag));
    const [view, clear, stored, blobs] = [
      await rig.files.get(owner, { id }),
      await tags('clear'),
      await tags('stored'),
      await rig.blobIds(),
    ];
    const key = (await rig.files.exportKey(owner, id)).key;
    const versions = await rig.versions.list(owner, id);
    await rig.rekeying.rekey(owner, id);
    expect(await rig.files.get(owner, { id })).toEqual(view);
    expect(await rig.versions.list(owner, id)).toEqual(versions);
    expect(await tags('clear')).toEqual(clear);
    for (const [n, tag] of (await tags('stored')).entries()) expect(tag).not.toBe(stored[n]);
    expect((await rig.files.exportKey(owner, id)).key).not.toBe(key);
    expect((await rig.blobIds()).filter((blob) => blobs.includes(blob))).toEqual([]);
    expect(await rig.blobIds()).toHaveLength(2);
    expect((await rig.download(owner, id, undefined, 1)).equals(content)).toBe(true);
    expect(await bytesCounted()).toBe(700_006);
    await atRest();
    await rig.deletion.remove(owner, id);
    expect(await rig.isEmpty()).toBe(true);
    expect(await bytesCounted()).toBe(0);
  });

  it('do not disturb who is reading', async () => {
    const content = sampleBytes(3_000_000);
    const { id } = await rig.upload(owner, 'a', content);
    const stream = await (await rig.files.content(owner, { id }, { form: 'clear' })).open(undefined);
    await rig.rekeying.rekey(owner, id);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
  });

  it('may be asked for by several at once', async () => {
    const { id } = await rig.upload(owner, 'a', sampleBytes(300_000));
    await rig.replace(owner, id, 'second');
    await Promise.all([1, 2, 3].map(() => rig.rekeying.rekey(owner, id)));
    expect(await text(id)).toBe('second');
    expect(await rig.blobIds()).toHaveLength(2);
    await atRest();
  });

  it('are not made over a content that does not verify, which stays as it was', async () => {
    const { id } = await rig.upload(owner, 'a', sampleBytes(300_000));
    const [blob] = await rig.blobIds();
    const path = join(rig.blobFolder, blob!.slice(0, 2), blob!);
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(200_000) ^ 1, 200_000);
    await writeFile(path, bytes);
    await expect(rig.rekeying.rekey(owner, id)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(await rig.blobIds()).toEqual([blob]);
    await atRest();
  });
});

describe('a verification', () => {
  const pathOf = async (id: string, version: number): Promise<string> => {
    const row = await rowOf(id);
    const blob =
      version === row.version ? row.blob_id : row.others!.find((other) => other.version === version)!.blob_id;
    return join(rig.blobFolder, blob.slice(0, 2), blob);
  };

  it('reads all versions of a whole file', async () => {
    const { id } = await rig.upload(owner, 'a', sampleBytes(300_000));
    await rig.replace(owner, id, '');
    expect(await rig.verification.verify(owner, id)).toEqual({
      ok: true,
      checked_bytes: 300_000,
      versions: [
        { version: 2, ok: true },
        { version: 1, ok: true },
      ],
    });
  });

  it.each([100, 70_000, 200_000])('finds a bit that flipped at byte %d of one version, and notes it', async (at) => {
    const { id } = await rig.upload(owner, 'a', sampleBytes(300_000));
    await rig.replace(owner, id, 'second');
    const path = await pathOf(id, 1);
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(path, bytes);
    const check = await rig.verification.verify(owner, id);
    expect(check).toMatchObject({ ok: false });
    expect(check.versions).toEqual([
      { version: 2, ok: true },
      { version: 1, ok: false, code: 'decryption_failed' },
    ]);
    const notes = (await rig.auditEntries()).filter(
      ({ action, phase }) => action === 'file.verify' && phase === 'note',
    );
    expect(notes).toEqual([
      expect.objectContaining({ outcome: 'failed', details: { version: 1, code: 'decryption_failed' } }),
    ]);
  });

  it('finds a blob that is gone', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.blobs.remove((await rowOf(id)).blob_id);
    expect(await rig.verification.verify(owner, id)).toMatchObject({ ok: false, checked_bytes: 0 });
  });
});
