import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesLooks } from '../../../test/support/files-looks';
import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { sampleBytes } from '../../../test/support/messages';
import { sha256 } from '../../crypto';
import { DAY, DomainError, HOUR, MINUTE, Principal } from '../../kernel';
import { MAX_FORMER, MAX_INCOMING } from '../model/versions';

let rig: FilesRig;
let owner: Principal;

beforeEach(async () => {
  rig = await openFilesRig({ userQuota: 10_000_000 });
  owner = await rig.newOwner();
});
afterEach(() => rig.close());

const { text, rowOf, bytesCounted, atRest } = filesLooks(() => ({ rig, owner }));

async function* broken(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(sampleBytes(200_000));
  throw new DomainError('validation_failed', { detail: 'broke off' });
}

describe('a new version', () => {
  it('becomes what readers get, and the former one stays readable by its number', async () => {
    const { id } = await rig.upload(owner, 'a', 'first', { content_type: 'text/plain', expires_in: '3600' });
    const second = await rig.replace(owner, id, 'the second');
    expect(second).toMatchObject({ id, name: 'a', size: 10, version: 2, content_type: 'text/plain' });
    expect(second.sha256).toBe(sha256('the second').toString('hex'));
    expect(second.expires_at).not.toBeNull();
    expect(await text(id)).toBe('the second');
    expect(await text(id, 1)).toBe('first');
    expect(await bytesCounted()).toBe(15);
    const listed = await rig.versions.list(owner, id);
    expect(listed.map(({ version, size, current }) => [version, size, current])).toEqual([
      [2, 10, true],
      [1, 5, false],
    ]);
    await atRest();
  });

  it('has its own key and its own message, which other versions do not open with', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    const keys = await Promise.all([1, 2].map((version) => rig.files.exportKey(owner, id, version)));
    expect(keys[0]!.key).not.toBe(keys[1]!.key);
    expect(keys.map(({ keyName }) => keyName)).toEqual([`file/${id}/1`, `file/${id}/2`]);
    const [one, two] = (await rig.blobIds()).map((blob) => join(rig.blobFolder, blob.slice(0, 2), blob));
    const [first, second] = [await readFile(one!), await readFile(two!)];
    await writeFile(one!, second);
    await writeFile(two!, first);
    await expect(text(id)).rejects.toMatchObject({ code: 'decryption_failed' });
    await expect(text(id, 1)).rejects.toMatchObject({ code: 'decryption_failed' });
  });

  it('takes type, end, envelope and expected digest of its own', async () => {
    const { id } = await rig.upload(owner, 'a', 'first', { content_type: 'text/plain' });
    const more = { content_type: 'image/png', expires_in: '60', client_encrypted: 'true', envelope: '{"k":1}' };
    const view = await rig.replace(owner, id, 'x', { ...more, sha256: sha256('x').toString('hex') });
    expect(view).toMatchObject({ content_type: 'image/png', client_encrypted: true, envelope: { k: 1 } });
    expect((await rig.versions.list(owner, id))[1]).toMatchObject({
      content_type: 'text/plain',
      client_encrypted: false,
    });
    rig.clock.forward(MINUTE);
    await expect(rig.files.get(owner, { id })).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it.each([
    ['another digest than expected', 'other', { sha256: 'a'.repeat(64) }, 'checksum_mismatch'],
    ['a source that breaks', broken(), {}, 'validation_failed'],
    ['more than the quota', sampleBytes(10_000_001), {}, 'quota_exceeded'],
  ] as const)('with %s leaves the old one and nothing else', async (_, content, more, code) => {
    const { id } = await rig.upload(owner, 'a', 'first');
    const source = typeof content === 'string' ? content : (content as Buffer);
    await expect(rig.replace(owner, id, source, more)).rejects.toMatchObject({ code });
    expect(await text(id)).toBe('first');
    expect(await rig.blobIds()).toHaveLength(1);
    expect(await bytesCounted()).toBe(5);
    await atRest();
  });

  it('never has a number that was given out before, not even to one that failed', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await expect(rig.replace(owner, id, broken())).rejects.toMatchObject({ code: 'validation_failed' });
    expect((await rig.replace(owner, id, 'x')).version).toBe(3);
    await rig.versions.remove(owner, id, 1);
    expect((await rig.replace(owner, id, 'y')).version).toBe(4);
  });

  it('drops the oldest beyond the limit, with blob and share of the quota', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    for (let n = 0; n <= MAX_FORMER; n += 1) await rig.replace(owner, id, 'x');
    const versions = (await rig.versions.list(owner, id)).map(({ version }) => version);
    expect(versions).toHaveLength(MAX_FORMER + 1);
    expect(versions.at(-1)).toBe(2);
    await expect(text(id, 1)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await rig.blobIds()).toHaveLength(MAX_FORMER + 1);
    expect(await bytesCounted()).toBe(MAX_FORMER + 1);
    await atRest();
  });

  it('of many that replace the same state is one, and the others leave nothing', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    const holds = (...tags: readonly string[]): void => {
      if (!tags.includes(`"${id}.1"`)) throw new DomainError('precondition_failed');
    };
    const request = {
      contentType: undefined,
      expiresInMs: undefined,
      sha256: undefined,
      clientEncrypted: false,
      envelope: undefined,
    };
    const target = await rig.access.owned(owner, { id });
    const attempts = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => {
        const body = (async function* () {
          yield await Promise.resolve([Buffer.from(`content ${n}`)]);
        })();
        return rig.replacements.replace(owner, target, request, { body, declaredBytes: undefined }, holds);
      }),
    );
    const refused = attempts.flatMap((attempt) =>
      attempt.status === 'rejected' ? [attempt.reason as DomainError] : [],
    );
    expect(refused.map(({ code }) => code)).toEqual(Array.from({ length: 19 }, () => 'precondition_failed'));
    expect(await rig.versions.list(owner, id)).toHaveLength(2);
    expect(await rig.blobIds()).toHaveLength(2);
    await atRest();
  });

  it('is refused where too many come at the same time', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    const plan = (version: number) => () => ({ version, clientEncrypted: false, rekeyed: false });
    for (let n = 0; n < MAX_INCOMING; n += 1) (await rig.incoming.open(id, plan(n + 2)))!.key.destroy();
    await expect(rig.replace(owner, id, 'one more')).rejects.toMatchObject({ code: 'conflict' });
    await rig.sweepAfter(3 * MINUTE);
    await rig.replace(owner, id, 'now');
    await atRest();
  });

  it('of a file that goes meanwhile is not there, and leaves no blob', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    async function* slow(): AsyncGenerator<Buffer> {
      yield sampleBytes(200_000);
      await rig.deletion.remove(owner, id);
      yield sampleBytes(200_000);
    }
    await expect(rig.replace(owner, id, slow())).rejects.toThrow(DomainError);
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it('leaves no marker in clear on the disk', async () => {
    const marker = 'MARKER-91be';
    const { id } = await rig.upload(owner, 'a', marker);
    await rig.replace(owner, id, `${marker} again`, { content_type: `text/${marker}` });
    for (const path of await readdir(rig.folder, { recursive: true })) {
      const bytes = await readFile(join(rig.folder, path)).catch(() => Buffer.alloc(0));
      expect([path, bytes.includes(marker)]).toEqual([path, false]);
    }
  });
});

describe('earlier versions', () => {
  it('are their owner’s alone, and a stranger’s requests meet nothing', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    const stranger = await rig.newOwner();
    const missing = { code: 'file_not_found' };
    await expect(rig.versions.list(stranger, id)).rejects.toMatchObject(missing);
    await expect(rig.versions.remove(stranger, id, 1)).rejects.toMatchObject(missing);
    await expect(rig.versions.restore(stranger, id, 1, () => undefined)).rejects.toMatchObject(missing);
    await expect(rig.files.content(stranger, { id }, { form: 'clear', version: 1 })).rejects.toMatchObject(missing);
    await expect(rig.replace(stranger, id, 'theirs')).rejects.toMatchObject(missing);
    await expect(rig.rekeying.rekey(stranger, id)).rejects.toMatchObject(missing);
    await expect(rig.verification.verify(stranger, id)).rejects.toMatchObject(missing);
  });

  it('can be removed one by one, once, and never the current one', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    await expect(rig.versions.remove(owner, id, 2)).rejects.toMatchObject({ code: 'conflict' });
    const attempts = await Promise.allSettled([1, 2, 3, 4].map(() => rig.versions.remove(owner, id, 1)));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(rig.versions.remove(owner, id, 1)).rejects.toMatchObject({ code: 'file_not_found' });
    expect(await text(id)).toBe('second');
    expect(await bytesCounted()).toBe(6);
    expect(await rig.blobIds()).toHaveLength(1);
    await atRest();
  });

  it('can become the newest one again', async () => {
    const { id } = await rig.upload(owner, 'a', 'first', { content_type: 'text/a' });
    await rig.replace(owner, id, 'second', { content_type: 'text/b' });
    const row = await rig.versions.restore(owner, id, 1, () => undefined);
    expect(await rig.files.view(row)).toMatchObject({ version: 3, content_type: 'text/a', size: 5 });
    expect(await text(id)).toBe('first');
    expect(await text(id, 2)).toBe('second');
  });

  it('go with their file: keys, blobs, rows, references, shares', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    for (let n = 0; n < 3; n += 1) await rig.replace(owner, id, 'more');
    const blobs = await rig.blobIds();
    await rig.deletion.remove(owner, id);
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
    for (const blob of blobs) expect(await rig.refs.isHeld(blob)).toBe(false);
  });

  it('go with their owner', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    await rig.owned.eraseUser(owner.ownerId);
    expect(await rig.isEmpty()).toBe(true);
  });

  it('are wrapped and sealed again with the file when its owner’s key changes', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    await rig.addUserKeyVersion(owner.ownerId);
    expect(await rig.owned.rewrap(owner.ownerId)).toBe(1);
    expect(await rig.owned.reencrypt(owner.ownerId)).toBe(1);
    expect(await rig.owned.countByKeyVersion(owner.ownerId, [1])).toEqual([0]);
    expect(await text(id, 1)).toBe('first');
    expect((await rig.versions.list(owner, id)).map(({ sha256: sum }) => sum)).toEqual([
      sha256('second').toString('hex'),
      sha256('first').toString('hex'),
    ]);
  });

  it('keep a key version in use until they are wrapped again, also one that came under the new version', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.addUserKeyVersion(owner.ownerId);
    await rig.replace(owner, id, 'second');
    expect(await rig.owned.countByKeyVersion(owner.ownerId, [1])).not.toEqual([0]);
    await rig.owned.rewrap(owner.ownerId);
    await rig.owned.reencrypt(owner.ownerId);
    expect(await rig.owned.countByKeyVersion(owner.ownerId, [1])).toEqual([0]);
    expect([await text(id), await text(id, 1)]).toEqual(['second', 'first']);
  });

  it('keep their blobs in the sweep of blobs that nobody names', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    const stray = 'f'.repeat(32);
    await rig.refs.claim(stray, { _id: id, owner_id: owner.ownerId });
    const bytes = (async function* () {
      yield await Promise.resolve(Buffer.from('left over'));
    })();
    await rig.blobs.put(stray, bytes);
    for (const blob of await rig.blobIds()) await rig.ageBlob(blob, 2 * DAY);
    await rig.refs.sweepOrphans();
    expect(await rig.blobIds()).toHaveLength(2);
    expect([await text(id), await text(id, 1)]).toEqual(['second', 'first']);
    expect(await rig.refs.isHeld(stray)).toBe(false);
  });
});

describe('the sweeper', () => {
  it.each(['placed', 'stored', 'counted'] as const)('removes a new version that died when it was %s', async (stage) => {
    const { id } = await rig.upload(owner, 'a', 'first');
    const incoming = await rig.incoming.open(id, () => ({ version: 2, clientEncrypted: false, rekeyed: false }));
    const content = (async function* () {
      yield await Promise.resolve([Buffer.from('half')]);
    })();
    if (stage !== 'placed') await rig.incoming.write(incoming!, content);
    if (stage === 'counted') await rig.usage.add(owner.ownerId, `${id}.2`, 4);
    await rig.sweepAfter(3 * MINUTE);
    expect(await text(id)).toBe('first');
    expect(await rig.blobIds()).toHaveLength(1);
    expect(await bytesCounted()).toBe(5);
    await atRest();
  });

  it('leaves alone a new version that gave a sign of life two minutes ago', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.incoming.open(id, () => ({ version: 2, clientEncrypted: false, rekeyed: false }));
    await rig.sweepAfter(119_000);
    expect((await rowOf(id)).others).toHaveLength(1);
  });

  it('gives back the share of a version that counted itself after it had been removed', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.usage.add(owner.ownerId, `${id}.7`, 500);
    await rig.sweepAfter(HOUR);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 5, marks: {} });
  });
});
