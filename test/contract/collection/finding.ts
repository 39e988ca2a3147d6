import { newId } from '../../../src/kernel';
import { DuplicateKey } from '../../../src/store';
import { AWKWARD_TEXTS, type Prepared } from './things';

/** Inserting and finding: kinds, keys, and texts that engines might take for something else. */
export function findingContract(at: Prepared): void {
  describe('insert and find', () => {
    it('returns the stored document at revision 1 and finds it again, equal in every field', async () => {
      const draft = {
        _id: newId(),
        owner: 'ada',
        kind: 'card',
        size: -1.5,
        open: false,
        at: 1_700_000_000_123,
        email: 'ada@example.com',
        notes: { list: [1, 'two', { three: null }], nested: { deep: true } },
      };
      const stored = await at.things.insert(draft);
      expect(stored).toEqual({ ...draft, rev: 1 });
      expect(await at.things.find('_id', draft._id)).toEqual(stored);
      expect(await at.things.find('byEmail', 'ada@example.com')).toEqual(stored);
      expect(await at.things.find('byOwnerKind', 'card', 'ada')).toEqual(stored);
    });

    it('finds nothing under an id that nobody inserted', async () => {
      expect(await at.things.find('_id', newId())).toBeUndefined();
      expect(await at.things.find('byEmail', 'nobody@example.com')).toBeUndefined();
    });

    it('finds the first document of an index that is not unique', async () => {
      const first = await at.add({ _id: 'a1' });
      await at.add({ _id: 'a2' });
      expect(await at.things.find('byOwner', 'ada')).toEqual(first);
      expect(await at.things.find('byOwner', 'bob')).toBeUndefined();
    });

    it('leaves out the fields that a document lacks instead of making them null', async () => {
      const { _id } = await at.add();
      expect(Object.keys((await at.things.find('_id', _id))!).sort()).toEqual(['_id', 'owner', 'rev']);
    });

    it('stores and reads back only the fields of the definition', async () => {
      const { _id } = await at.things.insert({ _id: newId(), owner: 'ada', smuggled: 'x' } as never);
      expect(await at.things.find('_id', _id)).not.toHaveProperty('smuggled');
      const wider = at.fixture.engine.collection({
        ...at.things.definition,
        authenticated: false,
        fields: { ...at.things.definition.fields, smuggled: 'string' },
      } as never);
      expect(await wider.find('_id', _id)).not.toHaveProperty('smuggled');
    });

    it.each([
      ['a string field', { owner: { $ne: null } }],
      ['a string field, a list', { owner: ['ada'] }],
      ['a string field, null', { owner: null }],
      ['a number field', { size: '1' }],
      ['a number field, not finite', { size: Number.NaN }],
      ['a boolean field', { open: 1 }],
      ['a time field', { at: new Date() }],
      ['a time field, a fraction', { at: 1.5 }],
      ['a time field, after the year 9999', { at: 253_402_300_800_000 }],
      ['a json field', { notes: 'text' }],
      ['the id', { _id: 7 }],
      ['the id, empty', { _id: '' }],
    ])('refuses a value of another kind in %s with a TypeError and stores nothing', async (_where, fields) => {
      await expect(at.things.insert({ _id: 'x', owner: 'ada', ...fields } as never)).rejects.toThrow(TypeError);
      expect(await at.things.count('_id', [])).toBe(0);
    });

    it.each([
      ['an operator object', { $ne: null }],
      ['a list', ['a']],
      ['null', null],
      ['undefined', undefined],
      ['a regular expression', /./],
      ['a number where the field is text', 1],
    ])('refuses %s as a key with a TypeError', async (_what, key) => {
      await at.add({ email: 'ada@example.com' });
      await expect(at.things.find('byEmail', key as never)).rejects.toThrow(TypeError);
      await expect(at.things.find('_id', key as never)).rejects.toThrow(TypeError);
      await expect(at.things.list('byOwner', [key as never], { limit: 1 })).rejects.toThrow(TypeError);
      await expect(at.things.count('byOwner', [key as never])).rejects.toThrow(TypeError);
      await expect(at.things.remove(key as never)).rejects.toThrow(TypeError);
    });

    it.each(['nope', '__proto__', 'constructor', 'toString', ''])(
      'throws a TypeError for %j, which is no index of the definition',
      async (index) => {
        await expect(at.things.find(index, 'x')).rejects.toThrow(TypeError);
        await expect(at.things.list(index, [], { limit: 1 })).rejects.toThrow(TypeError);
        await expect(at.things.count(index, [])).rejects.toThrow(TypeError);
      },
    );

    it('throws a TypeError for a key that is longer than its index or, on a unique one, shorter', async () => {
      await expect(at.things.find('byEmail', 'a', 'b')).rejects.toThrow(TypeError);
      await expect(at.things.find('byOwnerKind', 'card')).rejects.toThrow(TypeError);
      await expect(at.things.find('_id')).rejects.toThrow(TypeError);
    });

    it.each(AWKWARD_TEXTS)('takes %j for plain text in a field, in a key and in an id', async (text) => {
      const other = await at.add({ _id: 'other', owner: 'other', email: 'other' });
      const stored = await at.add({ _id: `id-${text}`, owner: text, email: text, kind: text });
      expect(await at.things.find('_id', stored._id)).toEqual(stored);
      expect(await at.things.find('byEmail', text)).toEqual(stored);
      expect((await at.things.list('byOwner', [text], { limit: 10 })).items).toEqual([stored]);
      expect(await at.things.count('byOwner', [text])).toBe(1);
      await expect(at.add({ email: text })).rejects.toBeInstanceOf(DuplicateKey);
      expect(await at.things.remove(stored._id, 1)).toBe(true);
      expect(await at.things.find('byEmail', text)).toBeUndefined();
      expect(await at.things.find('byEmail', 'other')).toEqual(other);
    });

    it('tells all awkward texts apart in one unique index', async () => {
      for (const text of AWKWARD_TEXTS) await at.add({ email: text });
      for (const text of AWKWARD_TEXTS) expect((await at.things.find('byEmail', text))?.email).toBe(text);
    });

    it('keeps any names inside a json field, whatever they mean elsewhere', async () => {
      const notes = JSON.parse(
        '{"$ne":1,"a.b":{"$where":"x"},"__proto__":{"admin":true},"":0,"\\u0000":[],"constructor":null}',
      ) as object;
      const { _id } = await at.add({ notes });
      const found = await at.things.find('_id', _id);
      expect(JSON.stringify(found?.notes)).toBe(JSON.stringify(notes));
      expect(({} as { admin?: boolean }).admin).toBeUndefined();
    });

    it('stores a lone surrogate as the replacement character, so that its key is found again', async () => {
      const { _id } = await at.add({ email: 'a\ud800b' });
      expect((await at.things.find('byEmail', 'a\ud800b'))?._id).toBe(_id);
      expect((await at.things.find('_id', _id))?.email).toBe('a\ufffdb');
    });
  });
}
