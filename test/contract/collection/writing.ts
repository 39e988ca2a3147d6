import { newId } from '../../../src/kernel';
import { DuplicateKey, update } from '../../../src/store';
import { type Prepared, thingDefinition } from './things';

/** Unique keys, compare-and-set, bulks, and the retry loop over them. */
export function writingContract(at: Prepared): void {
  describe('an id that is used again', () => {
    it('does not let who read the former document replace or remove the new one', async () => {
      const things = at.store.collection({ ...thingDefinition(), reusesIds: true });
      const former = await things.insert({ _id: 'one', owner: 'ada' });
      await things.remove('one');
      const present = await things.insert({ _id: 'one', owner: 'bob' });
      expect(await things.replace({ ...former, owner: 'eve' })).toBeUndefined();
      expect(await things.remove('one', former.rev)).toBe(false);
      expect(await things.find('_id', 'one')).toEqual(present);
      expect(await things.replace({ ...present, size: 1 })).toMatchObject({ rev: present.rev + 1, size: 1 });
    });
  });

  describe('unique indexes', () => {
    it('refuses a second document under the same id and names _id', async () => {
      const first = await at.add({ _id: 'same' });
      await expect(at.add({ _id: 'same', owner: 'eve' })).rejects.toMatchObject({ name: 'DuplicateKey', index: '_id' });
      expect(await at.things.find('_id', 'same')).toEqual(first);
    });

    it('refuses a second document under a unique key and names collection and index', async () => {
      await at.add({ email: 'ada@example.com' });
      const refused = at.add({ email: 'ada@example.com' });
      await expect(refused).rejects.toBeInstanceOf(DuplicateKey);
      await expect(refused).rejects.toMatchObject({ collection: at.things.definition.name, index: 'byEmail' });
      expect(await at.things.count('_id', [])).toBe(1);
    });

    it('counts all fields of a compound unique key', async () => {
      await at.add({ owner: 'ada', kind: 'card' });
      await at.add({ owner: 'bob', kind: 'card' });
      await at.add({ owner: 'ada', kind: 'note' });
      await expect(at.add({ owner: 'ada', kind: 'card' })).rejects.toMatchObject({ index: 'byOwnerKind' });
    });

    it('does not confuse a compound key with another that is spelled the same in one piece', async () => {
      await at.add({ owner: 'b', kind: 'a' });
      await at.add({ owner: '', kind: 'ab' });
      await at.add({ owner: 'ab', kind: '' });
      expect((await at.things.find('byOwnerKind', 'ab', ''))?.owner).toBe('');
      expect((await at.things.find('byOwnerKind', '', 'ab'))?.owner).toBe('ab');
    });

    it('lets any number of documents lack an optional unique field', async () => {
      await Promise.all(Array.from({ length: 5 }, () => at.add()));
      expect(await at.things.count('_id', [])).toBe(5);
      expect(await at.things.count('byEmail', [])).toBe(0);
    });

    it('refuses a replace that would take the key of another document, and leaves both as they were', async () => {
      const ada = await at.add({ email: 'ada@example.com' });
      const bob = await at.add({ email: 'bob@example.com' });
      await expect(at.things.replace({ ...bob, email: 'ada@example.com' })).rejects.toMatchObject({ index: 'byEmail' });
      expect(await at.things.find('byEmail', 'bob@example.com')).toEqual(bob);
      expect(await at.things.find('byEmail', 'ada@example.com')).toEqual(ada);
    });

    it('frees a key when its document is removed, loses the field or takes another value', async () => {
      const first = await at.add({ email: 'one@example.com' });
      const { email: _dropped, ...bare } = (await at.things.replace({ ...first, email: 'two@example.com' }))!;
      await at.add({ email: 'one@example.com' });
      await at.things.replace(bare);
      const third = await at.add({ email: 'two@example.com' });
      await at.things.remove(third._id);
      await at.add({ email: 'two@example.com' });
      expect(await at.things.count('byEmail', [])).toBe(2);
    });

    it('lets one of many racing inserts of a key through', async () => {
      const race = Array.from({ length: 20 }, () => at.add({ email: 'only@example.com' }));
      const outcomes = await Promise.allSettled(race);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const refusals = outcomes.flatMap((outcome) =>
        outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
      );
      expect(refusals.every((reason) => reason instanceof DuplicateKey)).toBe(true);
    });
  });

  describe('replace and remove', () => {
    it('replaces at the revision that was read and returns the next one', async () => {
      const first = await at.add({ kind: 'card' });
      const second = await at.things.replace({ ...first, kind: 'note' });
      expect(second).toEqual({ ...first, kind: 'note', rev: 2 });
      expect(await at.things.find('_id', first._id)).toEqual(second);
    });

    it('replaces the whole document: a field that is not given is gone', async () => {
      const { kind: _dropped, ...bare } = await at.add({ kind: 'card' });
      await at.things.replace(bare);
      expect(await at.things.find('_id', bare._id)).not.toHaveProperty('kind');
    });

    it('does nothing where the revision moved on', async () => {
      const first = await at.add({ kind: 'card' });
      const second = await at.things.replace({ ...first, kind: 'note' });
      expect(await at.things.replace({ ...first, kind: 'lost' })).toBeUndefined();
      expect(await at.things.find('_id', first._id)).toEqual(second);
    });

    it('does nothing for a revision that is yet to come', async () => {
      const first = await at.add();
      expect(await at.things.replace({ ...first, rev: 2 })).toBeUndefined();
      expect((await at.things.find('_id', first._id))?.rev).toBe(1);
    });

    it('does not bring back a document that is gone', async () => {
      const first = await at.add();
      await at.things.remove(first._id);
      expect(await at.things.replace(first)).toBeUndefined();
      expect(await at.things.count('_id', [])).toBe(0);
    });

    it('lets one of many racing replaces of a revision through', async () => {
      const first = await at.add();
      const race = Array.from({ length: 20 }, (_, size) => at.things.replace({ ...first, size }));
      const won = (await Promise.all(race)).filter((stored) => stored !== undefined);
      expect(won).toHaveLength(1);
      expect(await at.things.find('_id', first._id)).toEqual(won[0]);
    });

    it('moves a document from one key of an index to another', async () => {
      const first = await at.add({ size: 1 });
      await at.things.replace({ ...first, size: 2 });
      expect(await at.things.count('bySize', [1])).toBe(0);
      expect(await at.things.count('bySize', [2])).toBe(1);
    });

    it('removes once, and says so', async () => {
      const { _id } = await at.add({ email: 'ada@example.com' });
      expect(await at.things.remove(_id)).toBe(true);
      expect(await at.things.remove(_id)).toBe(false);
      expect(await at.things.find('byEmail', 'ada@example.com')).toBeUndefined();
      expect(await at.things.count('byOwner', ['ada'])).toBe(0);
    });

    it('removes at a revision only if it still holds', async () => {
      const first = await at.add();
      await at.things.replace(first);
      expect(await at.things.remove(first._id, 1)).toBe(false);
      expect(await at.things.remove(first._id, 2)).toBe(true);
    });

    it('lets one of many racing removes of a revision through', async () => {
      const { _id } = await at.add();
      const won = await Promise.all(Array.from({ length: 20 }, () => at.things.remove(_id, 1)));
      expect(won.filter(Boolean)).toHaveLength(1);
    });

    it('replaces many, counts those that held and leaves the others alone', async () => {
      const docs = await Promise.all(Array.from({ length: 10 }, () => at.add({ size: 0 })));
      await at.things.replace(docs[3]!);
      await at.things.remove(docs[7]!._id);
      expect(await at.things.replaceMany(docs.map((doc) => ({ ...doc, size: 9 })))).toBe(8);
      expect(await at.things.count('bySize', [9])).toBe(8);
      expect((await at.things.find('_id', docs[3]!._id))?.size).toBe(0);
      expect(await at.things.find('_id', docs[7]!._id)).toBeUndefined();
    });

    it('does not count a document of many that a unique index refuses, and stores its neighbours', async () => {
      await at.add({ email: 'taken@example.com' });
      const docs = await Promise.all([at.add({ email: 'a' }), at.add({ email: 'b' }), at.add({ email: 'c' })]);
      const [a, b, c] = docs;
      const changed = [
        { ...a, size: 1 },
        { ...b, email: 'taken@example.com' },
        { ...c, size: 1 },
      ];
      expect(await at.things.replaceMany(changed)).toBe(2);
      expect((await at.things.find('byEmail', 'b'))?.rev).toBe(1);
    });

    it('takes no documents and a thousand, but not more', async () => {
      expect(await at.things.replaceMany([])).toBe(0);
      const absent = (count: number) => Array.from({ length: count }, (_, i) => ({ _id: `n${i}`, rev: 1, owner: 'x' }));
      expect(await at.things.replaceMany(absent(1_000))).toBe(0);
      await expect(at.things.replaceMany(absent(1_001))).rejects.toThrow(TypeError);
    });
  });

  describe('update', () => {
    it('loses no increment of many that race for one document', async () => {
      const { _id } = await at.add({ size: 0 });
      const increment = () => update(at.things, _id, (doc) => ({ ...doc, size: (doc.size ?? 0) + 1 }));
      await Promise.all(Array.from({ length: 10 }, increment));
      expect((await at.things.find('_id', _id))?.size).toBe(10);
    });

    it('leaves a document alone where the change says so, and returns it', async () => {
      const doc = await at.add();
      expect(await update(at.things, doc._id, () => undefined)).toEqual(doc);
      expect((await at.things.find('_id', doc._id))?.rev).toBe(1);
    });

    it('returns nothing and asks for no change where there is no document', async () => {
      const change = jest.fn();
      expect(await update(at.things, newId(), change)).toBeUndefined();
      expect(change).not.toHaveBeenCalled();
    });

    it('passes on what the change throws, with nothing stored', async () => {
      const doc = await at.add();
      const failing = update(at.things, doc._id, () => {
        throw new RangeError('no');
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect(await at.things.find('_id', doc._id)).toEqual(doc);
    });

    it('gives up with conflict on a document that never holds still', async () => {
      const { _id } = await at.add({ size: 0 });
      const restless = update(at.things, _id, async (doc) => {
        await at.things.replace(doc);
        return { ...doc, size: 1 };
      });
      await expect(restless).rejects.toMatchObject({ code: 'conflict' });
      expect((await at.things.find('_id', _id))?.size).toBe(0);
    });
  });
}
