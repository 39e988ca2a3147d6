import { newId, plaintext } from '../../src/kernel';
import {
  type KeyFixtures,
  type KeysOptions,
  moveMasterKey,
  openKeyFixtures,
  rewrapAll,
  temporaryFolder,
} from '../support/keys';

export interface UserKeyHomeParts {
  /** The home as one more process sees it. */
  open(): Promise<NonNullable<KeysOptions['home']>>;
  close(): Promise<void>;
}

/** What every home of wrapped user keys must do, seen through the key fixtures that work on it. */
export function userKeyHomeContract(name: string, start: () => Promise<UserKeyHomeParts>): void {
  describe(`wrapped user keys: ${name}`, () => {
    let parts: UserKeyHomeParts;
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;
    let fixtures: KeyFixtures;
    let owner: string;
    let user: string;

    const newHouses = async (): Promise<KeyFixtures> =>
      openKeyFixtures(folder.path, { cacheMs: 0, home: await parts.open() });

    beforeAll(async () => {
      parts = await start();
    });
    beforeEach(async () => {
      folder = await temporaryFolder();
      fixtures = await newHouses();
      [owner, user] = [newId(), `user-${newId()}`];
    });
    afterEach(async () => {
      await fixtures.close();
      await folder.remove();
    });
    afterAll(() => parts.close());

    /** A value that is the same as long as the owner's keys are. */
    const index = (from = fixtures, id = owner): Promise<string> => from.sealer.with(id, (keys) => keys.nameIndex('n'));
    const sealAndOpen = (id = owner): Promise<string> => {
      const place = { ownerId: id, resourceType: 'record', resourceId: 'r', field: 'value' };
      return fixtures.sealer.with(id, (keys) =>
        keys.open('records', place, keys.seal('records', place, plaintext(Buffer.from('x')))).toString(),
      );
    };

    it('opens what was put there, on another replica too', async () => {
      await fixtures.userKeys.create(owner, user);
      const other = await newHouses();
      expect(await index(other)).toBe(await index());
      await other.close();
    });

    it('makes one key for many who ask at the same time', async () => {
      const other = await newHouses();
      await Promise.all(
        Array.from({ length: 8 }, (_, at) => (at % 2 === 0 ? fixtures : other).userKeys.create(owner, user)),
      );
      expect(await index(other)).toBe(await index());
      await other.close();
    });

    it('keeps the key through a rotation of the master key', async () => {
      await fixtures.userKeys.create(owner, user);
      const before = await index();
      const target = await moveMasterKey(fixtures);
      expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({ done: 1, failed: [] });
      expect(await index()).toBe(before);
      const [complete] = await fixtures.home.get([(await fixtures.rows.find('_id', owner))!]);
      expect(complete!.ok && complete!.value.versions[0]!.master_version).toBe(target);
    });

    it('is rotated by processes that work at the same time, each row once', async () => {
      const owners = Array.from({ length: 6 }, () => newId());
      for (const id of owners) await fixtures.userKeys.create(id, `user-${id}`);
      const before = await Promise.all(owners.map((id) => index(fixtures, id)));
      const other = await newHouses();
      const target = await moveMasterKey(fixtures);
      await Promise.all([fixtures, other, fixtures].map((from) => from.rewrapper.rewrapBatch(target, 4)));
      await rewrapAll(fixtures, target, 4);
      expect(await Promise.all(owners.map((id) => index(fixtures, id)))).toEqual(before);
      expect(await fixtures.rewrapper.quarantinedFor(target)).toBe(0);
      await other.close();
    });

    it('goes on with a pending row of a process that died, under the version that is current by then', async () => {
      await fixtures.userKeys.create(owner, user);
      await fixtures.rows.replace({ ...(await fixtures.rows.find('_id', owner))!, state: 'pending' });
      const target = await moveMasterKey(fixtures);
      await fixtures.userKeys.create(owner, user);
      expect(await fixtures.rows.find('_id', owner)).toMatchObject({ state: 'active', master_version: target });
      expect(await sealAndOpen()).toBe('x');
    });

    it('keeps what an owner has through a rotation of the user key, and what is sealed under the former one opens until it is dropped', async () => {
      await fixtures.userKeys.create(owner, user);
      const before = await index();
      const place = { ownerId: owner, resourceType: 'record', resourceId: 'r', field: 'value' };
      const envelope = await fixtures.sealer.with(owner, (keys) =>
        keys.seal('records', place, plaintext(Buffer.from('old'))),
      );
      const open = (): Promise<string> =>
        fixtures.sealer.with(owner, (keys) => keys.open('records', place, envelope).toString());
      const other = await newHouses();
      const made = await Promise.all([fixtures, other].map(({ rotator }) => rotator.advance(owner, 1)));
      expect(made).toEqual([2, 2]);
      expect([await open(), await index(), await index(other), await sealAndOpen()]).toEqual([
        'old',
        before,
        before,
        'x',
      ]);
      expect(await fixtures.rotator.drop(owner, new Set([1, 2]))).toBe(1);
      await fixtures.strays.remove(owner);
      await expect(open()).rejects.toMatchObject({ code: 'decryption_failed' });
      expect([await index(other), await sealAndOpen()]).toEqual([before, 'x']);
      expect(await fixtures.home.orphans((await fixtures.rows.find('_id', owner))!)).toEqual([]);
      const target = await moveMasterKey(fixtures);
      expect(await fixtures.rewrapper.rewrapBatch(target)).toMatchObject({ done: 1, failed: [] });
      expect(await index(other)).toBe(before);
      await other.close();
    });

    it('opens nothing of an owner who was erased, and makes no key for that owner again', async () => {
      await fixtures.userKeys.create(owner, user);
      await fixtures.userKeys.destroy(owner);
      await fixtures.userKeys.destroy(owner);
      await expect(index()).rejects.toMatchObject({ code: 'not_found' });
      await expect(fixtures.userKeys.create(owner, user)).rejects.toMatchObject({ code: 'not_found' });
    });

    it('has the name for somebody else once an erase has ended, and a late erase of the former owner leaves that key alone', async () => {
      await fixtures.userKeys.create(owner, user);
      await fixtures.userKeys.destroy(owner);
      const next = newId();
      await fixtures.userKeys.create(next, user);
      const before = await index(fixtures, next);
      await fixtures.home.erase(user, owner);
      await fixtures.userKeys.destroy(owner);
      expect(await index(fixtures, next)).toBe(before);
    });

    it('gives the name of a registration that was withdrawn to the next one', async () => {
      await fixtures.userKeys.create(owner, user);
      await fixtures.rows.replace({ ...(await fixtures.rows.find('_id', owner))!, state: 'pending' });
      const next = newId();
      await fixtures.userKeys.create(next, user);
      expect(await sealAndOpen(next)).toBe('x');
    });

    it('is left clean by the sweeper of pending rows', async () => {
      await fixtures.userKeys.create(owner, user);
      await fixtures.rows.replace({ ...(await fixtures.rows.find('_id', owner))!, state: 'pending' });
      expect(await fixtures.sweeper.sweep(-1000)).toBe(1);
      await fixtures.userKeys.create(owner, user);
      expect(await sealAndOpen()).toBe('x');
    });
  });
}
