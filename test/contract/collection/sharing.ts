import { randomUUID } from 'node:crypto';
import { newId } from '../../../src/kernel';
import { DuplicateKey } from '../../../src/store';
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
  });
}
