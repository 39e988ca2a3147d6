import { FilesRig, openFilesRig } from '../../../test/support/files-rig';
import { DAY, DomainError, HOUR, MINUTE, Principal } from '../../kernel';
import { contentTag, metadataTag } from '../model/etag';
import { FileView } from '../model/file';
import { parseChange, parseName } from './update-file';

let rig: FilesRig;
let owner: Principal;

beforeEach(async () => {
  rig = await openFilesRig({ trashDays: 30 });
  owner = await rig.newOwner();
});
afterEach(() => rig.close());

const always = (): void => undefined;

const change = async (id: string, fields: Parameters<typeof parseChange>[0], holds = always): Promise<FileView> =>
  rig.files.view(await rig.changes.change(owner, id, parseChange(fields), holds));

const restore = async (id: string, name?: string): Promise<FileView> =>
  rig.files.view(await rig.changes.restore(owner, id, parseName(name)));

const trash = async () => (await rig.listing.list(owner, { limit: 100, after: undefined, trash: true })).files;

describe('a change', () => {
  it('gives a file another name, and frees the old one', async () => {
    const { id } = await rig.upload(owner, 'old', 'x');
    expect(await change(id, { name: 'new' })).toMatchObject({ id, name: 'new', version: 1 });
    expect(await rig.files.get(owner, { name: 'new' })).toMatchObject({ id });
    await expect(rig.files.get(owner, { name: 'old' })).rejects.toMatchObject({ code: 'file_not_found' });
    await rig.upload(owner, 'old', 'y');
    await expect(change(id, { name: 'old' })).rejects.toMatchObject({ code: 'file_exists' });
    expect(await change(id, { name: 'new' })).toMatchObject({ name: 'new' });
  });

  it('takes the name of a file that is past its time', async () => {
    await rig.upload(owner, 'wanted', 'x', { expires_in: '60' });
    const { id } = await rig.upload(owner, 'other', 'y');
    rig.clock.forward(MINUTE);
    expect(await change(id, { name: 'wanted' })).toMatchObject({ name: 'wanted' });
  });

  it('sets an end and takes it away, and leaves what is not named', async () => {
    const { id } = await rig.upload(owner, 'a', 'x', { content_type: 'text/plain' });
    expect((await change(id, { expires_in: 60 })).expires_at).not.toBeNull();
    expect((await change(id, { content_type: 'text/html' })).expires_at).not.toBeNull();
    expect(await change(id, { expires_in: null })).toMatchObject({ expires_at: null, content_type: 'text/html' });
    await rig.sweepAfter(HOUR);
    expect(await rig.files.get(owner, { id })).toMatchObject({ name: 'a' });
  });

  it('gives a name to a file that has none', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    const { name_index: _, ...row } = (await rig.rows.find('_id', id))!;
    await rig.rows.replace(row);
    expect(await rig.files.get(owner, { id })).toMatchObject({ name: null });
    await rig.upload(owner, 'a', 'y');
    await expect(change(id, { name: 'a' })).rejects.toMatchObject({ code: 'file_exists' });
    expect(await change(id, { name: 'b' })).toMatchObject({ name: 'b' });
  });

  it('holds its precondition against the tags of content and metadata', async () => {
    const view = await rig.upload(owner, 'a', 'x');
    let seen: readonly string[] = [];
    await change(view.id, { name: 'b' }, (...tags: readonly string[]) => void (seen = tags));
    expect(seen).toEqual([contentTag({ _id: view.id, version: 1 }), metadataTag(view)]);
    const stale = (...tags: readonly string[]): void => {
      if (!tags.includes(metadataTag(view))) throw new DomainError('precondition_failed');
    };
    await expect(change(view.id, { name: 'c' }, stale)).rejects.toMatchObject({ code: 'precondition_failed' });
  });

  it('is not for strangers', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    const stranger = await rig.newOwner();
    const attempt = rig.changes.change(stranger, id, parseChange({ name: 'b' }), always);
    await expect(attempt).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it('of several to the same name lets one through', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map(async (n) => (await rig.upload(owner, `file ${n}`, 'x')).id));
    const attempts = await Promise.allSettled(ids.map((id) => change(id, { name: 'wanted' })));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each([
    [{ name: '' }, '/name'],
    [{ name: 'a/b' }, '/name'],
    [{ content_type: 'nonsense' }, '/content_type'],
  ])('to %j is refused', (fields, pointer) => {
    const refused = expect.objectContaining({ fields: [expect.objectContaining({ pointer }) as unknown] }) as Error;
    expect(() => parseChange(fields)).toThrow(refused);
  });
});

describe('the trash', () => {
  it('holds what was removed, for its owner alone, and frees the name', async () => {
    const { id } = await rig.upload(owner, 'a', 'content');
    await rig.deletion.remove(owner, id);
    const missing = { code: 'file_not_found' };
    await expect(rig.files.get(owner, { id })).rejects.toMatchObject(missing);
    await expect(rig.files.get(owner, { name: 'a' })).rejects.toMatchObject(missing);
    await expect(rig.files.content(owner, { id }, { form: 'clear' })).rejects.toMatchObject(missing);
    await expect(rig.files.exportKey(owner, id)).rejects.toMatchObject(missing);
    await expect(rig.verification.verify(owner, id)).rejects.toMatchObject(missing);
    await expect(rig.replace(owner, id, 'y')).rejects.toMatchObject(missing);
    await expect(change(id, { name: 'b' })).rejects.toMatchObject(missing);
    const [file] = await trash();
    expect(file).toMatchObject({ id, name: 'a', size: 7 });
    expect(Date.parse(file!.purge_at!) - Date.parse(file!.trashed_at!)).toBeLessThanOrEqual(30 * DAY);
    expect((await rig.listing.list(owner, { limit: 10, after: undefined })).files).toEqual([]);
    const stranger = await rig.newOwner();
    await expect(rig.deletion.remove(stranger, id)).rejects.toMatchObject(missing);
    await expect(rig.changes.restore(stranger, id, undefined)).rejects.toMatchObject(missing);
    await rig.upload(owner, 'a', 'another');
  });

  it('gives a file back with its name and its versions', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.replace(owner, id, 'second');
    const view = await rig.files.get(owner, { id });
    await rig.deletion.remove(owner, id);
    expect(await restore(id)).toEqual(view);
    expect((await rig.download(owner, id, undefined, 1)).toString()).toBe('first');
    expect(await trash()).toEqual([]);
    await expect(restore(id)).rejects.toMatchObject({ code: 'file_not_found' });
  });

  it('does not give back a name that is taken, but the file under another one', async () => {
    const { id } = await rig.upload(owner, 'a', 'first');
    await rig.deletion.remove(owner, id);
    await rig.upload(owner, 'a', 'second');
    await expect(restore(id)).rejects.toMatchObject({ code: 'file_exists' });
    expect(await restore(id, 'b')).toMatchObject({ id, name: 'b' });
  });

  it('keeps what a client removes once more because it had no answer, and its days', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.deletion.remove(owner, id);
    const [before] = await trash();
    rig.clock.forward(DAY);
    await Promise.all([1, 2, 3].map(() => rig.deletion.remove(owner, id)));
    expect(await trash()).toEqual([before]);
    const trashed = (await rig.auditEntries()).filter(
      ({ action, phase }) => action === 'file.trash' && phase === 'intent',
    );
    expect(trashed).toHaveLength(1);
    expect(await restore(id)).toMatchObject({ id, name: 'a' });
  });

  it('is no help to strangers, who remove nothing for good either', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    const stranger = await rig.newOwner();
    for (const file of ['there', 'in the trash']) {
      if (file === 'in the trash') await rig.deletion.remove(owner, id);
      for (const permanent of [true, false])
        await expect(rig.deletion.remove(stranger, id, { permanent })).rejects.toMatchObject({
          code: 'file_not_found',
        });
    }
    expect(await trash()).toHaveLength(1);
  });

  it('is passed by where a file is removed for good at once', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.deletion.remove(owner, id, { permanent: true });
    expect(await trash()).toEqual([]);
    expect(await rig.isEmpty()).toBe(true);
  });

  it('lets go for good what is removed permanently, once', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.deletion.remove(owner, id);
    expect(await rig.usageOf(owner.ownerId)).toMatchObject({ bytes: 1 });
    const forGood = { permanent: true };
    const attempts = await Promise.allSettled([1, 2, 3].map(() => rig.deletion.remove(owner, id, forGood)));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await rig.isEmpty()).toBe(true);
    expect(await rig.usageOf(owner.ownerId)).toBeUndefined();
  });

  it('is emptied of what has been there for its days, at once for its owner and then by the sweeper', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.deletion.remove(owner, id);
    await rig.sweepAfter(30 * DAY - MINUTE);
    expect(await trash()).toHaveLength(1);
    rig.clock.forward(MINUTE);
    expect(await trash()).toEqual([]);
    await expect(restore(id)).rejects.toMatchObject({ code: 'file_not_found' });
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
  });

  it('does not keep a file beyond its own end', async () => {
    const { id } = await rig.upload(owner, 'a', 'x', { expires_in: '60' });
    await rig.deletion.remove(owner, id);
    rig.clock.forward(MINUTE);
    await expect(restore(id)).rejects.toMatchObject({ code: 'file_not_found' });
    await rig.sweeper.sweep();
    expect(await rig.isEmpty()).toBe(true);
  });

  it('follows its owner’s key, and goes with its owner', async () => {
    const { id } = await rig.upload(owner, 'a', 'x');
    await rig.deletion.remove(owner, id);
    await rig.addUserKeyVersion(owner.ownerId);
    await rig.owned.rewrap(owner.ownerId);
    await rig.owned.reencrypt(owner.ownerId);
    expect(await rig.owned.countByKeyVersion(owner.ownerId, [1])).toEqual([0]);
    await restore(id);
    expect((await rig.download(owner, id)).toString()).toBe('x');
    await rig.deletion.remove(owner, id);
    await rig.owned.eraseUser(owner.ownerId);
    expect(await rig.isEmpty()).toBe(true);
  });

  it('is searched by name and by how names begin', async () => {
    for (const name of ['a', 'a', 'ab', 'c']) await rig.deletion.remove(owner, (await rig.upload(owner, name, 'x')).id);
    const found = async (choice: object) =>
      (await rig.listing.list(owner, { limit: 10, after: undefined, trash: true, ...choice })).files.map(
        ({ name }) => name,
      );
    expect(await found({ name: 'a' })).toEqual(['a', 'a']);
    expect(await found({ prefix: 'a' })).toEqual(['a', 'a', 'ab']);
  });

  it('and a new upload race for a name: one of them has it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await rig.upload(owner, `name ${round}`, 'x');
      await rig.deletion.remove(owner, id);
      const both = await Promise.allSettled([restore(id), rig.upload(owner, `name ${round}`, 'y')]);
      expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    }
  });
});

describe('without a trash', () => {
  it('a removed file is gone for good, and nothing is there to be restored', async () => {
    const without = await openFilesRig();
    const somebody = await without.newOwner();
    const { id } = await without.upload(somebody, 'a', 'x');
    await without.deletion.remove(somebody, id);
    expect(await without.isEmpty()).toBe(true);
    await expect(without.changes.restore(somebody, id, undefined)).rejects.toMatchObject({ code: 'file_not_found' });
    await without.close();
  });
});
