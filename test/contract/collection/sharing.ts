import { randomUUID } from 'node:crypto';
import { newId } from '../../../src/kernel';
import { INSTALLATION, installationCollection } from '../../../src/installation';
import { DuplicateKey, SCHEMA } from '../../../src/store';
import { ids, type Prepared, thingDefinition } from './things';

/** Several stores, as of several processes or releases, over the same rows. */
export function sharingContract(at: Prepared): void {
  describe('several stores over the same rows', () => {
    it('reads what another one has written as soon as that one says so', async () => {
      const other = (await at.fixture.another()).collection(at.things.definition);
      for (let size = 0; size < 20; size += 1) {
        const { _id } = await other.insert({ _id: newId(), owner: 'ada', size });
        expect((await at.things.find('_id', _id))?.size).toBe(size);
      }
    });

    it('reads linearizably what another one has written, changed and removed', async () => {
      const other = (await at.fixture.another()).collection(at.things.definition);
      const first = await other.insert({ _id: newId(), owner: 'ada', size: 0 });
      expect(await at.things.findLinearizable(first._id)).toEqual(first);
      let now = first;
      for (let size = 1; size < 20; size += 1) {
        now = (await other.replace({ ...now, size }))!;
        expect(await at.things.findLinearizable(first._id)).toEqual(now);
      }
      await other.remove(first._id);
      expect(await at.things.findLinearizable(first._id)).toBeUndefined();
      await expect(at.things.findLinearizable({ $ne: null } as never)).rejects.toThrow(TypeError);
    });

    it('prepares at the same time as others and again without a fault', async () => {
      const definition = thingDefinition();
      const stores = [at.store, await at.fixture.another()];
      for (const each of stores) each.collection(definition);
      await Promise.all([...stores, ...stores].map((each) => each.prepare()));
      await at.store.collection(definition).insert({ _id: '1', owner: 'ada', email: 'x' });
      await at.store.prepare();
      const again = stores[1]!.collection(definition).insert({ _id: '2', owner: 'ada', email: 'x' });
      await expect(again).rejects.toBeInstanceOf(DuplicateKey);
    });

    it('brings rows of an older definition into an index that a newer one adds or changes', async () => {
      const newer = at.things.definition;
      const name = `older_${randomUUID().slice(0, 8)}`;
      const first = await at.fixture.another();
      const older: typeof newer = { ...newer, name, indexes: { byOwner: { fields: ['owner', 'kind'] } } };
      const olderThings = first.collection(older);
      await first.prepare();
      for (const _id of ['1', '2']) await olderThings.insert({ _id, owner: 'ada', email: `${_id}@example.com` });
      const second = await at.fixture.another();
      const newerThings = second.collection({ ...newer, name });
      await second.prepare();
      expect(ids((await newerThings.list('byOwner', ['ada'], { limit: 9 })).items)).toEqual(['1', '2']);
      expect((await newerThings.find('byEmail', '2@example.com'))?._id).toBe('2');
      const refused = newerThings.insert({ _id: '3', owner: 'ada', email: '1@example.com' });
      await expect(refused).rejects.toMatchObject({ index: 'byEmail' });
    });

    describe('of two releases', () => {
      type Indexes = typeof at.things.definition.indexes;
      type Release = Awaited<ReturnType<typeof release>>;
      let former: Release;
      let next: Release;

      async function release(name: string, indexes: Partial<Indexes>) {
        const store = await at.fixture.another();
        const things = store.collection({ ...at.things.definition, name, indexes: indexes as Indexes });
        return { store, things };
      }

      beforeEach(async () => {
        const { byEmail, byOwner, byOwnerKindSize, bySize } = at.things.definition.indexes;
        const name = `releases_${randomUUID().slice(0, 8)}`;
        former = await release(name, { byOwner: byOwnerKindSize!, bySize: bySize! });
        await former.store.prepare();
        await former.things.insert({ _id: '1', owner: 'ada', kind: 'k', size: 1, email: '1@b' });
        next = await release(name, { byOwner: byOwner!, byEmail: byEmail! });
        await next.store.prepare();
      });

      const found = async ({ things }: Release, index: string, ...key: (string | number)[]): Promise<string[]> =>
        ids((await things.list(index, key, { limit: 9 })).items);

      it('keeps what the former one reads by, in the writes of both', async () => {
        await next.things.insert({ _id: '2', owner: 'ada', kind: 'k', size: 2 });
        await former.things.insert({ _id: '3', owner: 'ada', kind: 'k', size: 3, email: '3@b' });
        expect(await found(former, 'byOwner', 'ada', 'k')).toEqual(['1', '2', '3']);
        expect(await found(next, 'byOwner', 'ada')).toEqual(['1', '2', '3']);
        expect(await found(former, 'bySize', 2)).toEqual(['2']);
        expect(await former.things.count('bySize', [])).toBe(3);
        await former.store.prepare();
        await next.things.replace({ ...(await next.things.find('_id', '2'))!, size: 9 });
        expect(await found(former, 'bySize', 9)).toEqual(['2']);
        expect(await found(former, 'bySize', 2)).toEqual([]);
      });

      it('puts what the former one writes into the indexes of the next one, unique ones included', async () => {
        await former.things.insert({ _id: '3', owner: 'ada', email: '3@b' });
        expect((await next.things.find('byEmail', '3@b'))?._id).toBe('3');
        const again = former.things.insert({ _id: '4', owner: 'ada', email: '3@b' });
        await expect(again).rejects.toBeInstanceOf(DuplicateKey);
        await former.things.remove('3');
        expect(await next.things.find('byEmail', '3@b')).toBeUndefined();
      });

      it('drops nothing while the installation document does not say that all are of one release', async () => {
        expect(await next.store.dropFormerIndexes()).toBe(0);
        const rows = at.fixture.engine.collection({ ...installationCollection, authenticated: false });
        const numbers = {
          _id: INSTALLATION,
          installation_id: 'i',
          store: 's',
          master_key: 'm',
          blobs: 'b',
          created_at: 1,
        };
        const doc = await rows.insert({ ...numbers, state: 'ready', schema: SCHEMA, lowest_schema: SCHEMA - 1 });
        try {
          expect(await next.store.dropFormerIndexes()).toBe(0);
          const newer = await rows.replace({ ...doc, schema: SCHEMA + 1, lowest_schema: SCHEMA });
          expect(await next.store.dropFormerIndexes()).toBe(0);
          expect(await found(former, 'bySize', 1)).toEqual(['1']);
          await rows.replace({ ...newer!, schema: SCHEMA });
          expect(await next.store.dropFormerIndexes()).toBe(2);
          expect(await next.store.dropFormerIndexes()).toBe(0);
          expect(await found(next, 'byOwner', 'ada')).toEqual(['1']);
        } finally {
          await rows.remove(INSTALLATION);
        }
      });
    });
  });
}
