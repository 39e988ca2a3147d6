import { randomUUID } from 'node:crypto';
import { newId } from '../../src/kernel';
import {
  type Collection,
  defineCollection,
  type Doc,
  DuplicateKey,
  type ListOptions,
  type Page,
  type Store,
  update,
} from '../../src/store';

export interface CollectionFixture {
  readonly store: Store;
  /** The same rows without their seals: what somebody with write access to the database sees. */
  readonly engine: Store;
  /** A second process's view: the same rows through a store of its own. */
  another(): Promise<Store>;
  close(): Promise<void>;
}

export interface ThingDoc extends Doc {
  readonly owner: string;
  readonly kind?: string;
  readonly size?: number;
  readonly open?: boolean;
  readonly at?: number;
  readonly email?: string;
  readonly notes?: object;
}

/** A collection of its own for each test, so that tests neither wait for nor see each other. */
export const thingDefinition = (name = `things_${randomUUID().slice(0, 8)}`) =>
  defineCollection<ThingDoc>({
    name,
    fields: {
      owner: 'string',
      kind: 'string',
      size: 'number',
      open: 'boolean',
      at: 'time',
      email: 'string',
      notes: 'json',
    },
    clear: ['_id', 'owner', 'kind', 'size', 'open', 'at', 'email', 'notes'],
    indexes: {
      byEmail: { fields: ['email'], unique: true },
      byOwner: { fields: ['owner'] },
      byOwnerKindSize: { fields: ['owner', 'kind', 'size'] },
      bySize: { fields: ['size'] },
      byOpen: { fields: ['open'] },
      byTime: { fields: ['at'] },
      byOwnerKind: { fields: ['kind', 'owner'], unique: true },
    },
    forged: 'refuse',
  });

/** What a client may send where a key is expected, and what engines might take for something other than text. */
const AWKWARD_TEXTS = [
  '__proto__',
  'constructor',
  '$ne',
  '$where',
  'a.b.c',
  '',
  ' ',
  '.',
  '$',
  '\u0000',
  'a\u0000b',
  'a\u0000',
  '\u0001',
  '\u00ff',
  '\uffff',
  'null',
  'true',
  '0',
  '{"$ne":null}',
  'Grüße',
  'Gru\u0308ße',
  '日本語',
  '👩‍👩‍👧',
  'é'.repeat(300),
  'x'.repeat(2_000),
  'x'.repeat(2_001),
];

const MANY_SECONDS = 60_000;

/** Order of UTF-8 bytes: by code point. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const ids = (docs: readonly Doc[]): string[] => docs.map(({ _id }) => _id);

async function allPages<T>(list: (options: ListOptions) => Promise<Page<T>>, options: ListOptions): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  do {
    const page = await list({ ...options, ...(after === undefined ? {} : { after }) });
    expect(page.items.length).toBeLessThanOrEqual(options.limit);
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}

/** What each engine must do, with seals and without. */
export function collectionContract(name: string, open: () => Promise<CollectionFixture>): void {
  describe(`the collection contract on ${name}`, () => {
    let fixture: CollectionFixture;
    let store: Store;
    let things: Collection<ThingDoc>;

    beforeAll(async () => {
      fixture = await open();
      store = fixture.store;
    }, MANY_SECONDS);
    afterAll(() => fixture.close());

    beforeEach(async () => {
      things = store.collection(thingDefinition());
      await store.prepare();
    });

    const add = (fields: Partial<ThingDoc> = {}): Promise<ThingDoc> =>
      things.insert({ _id: newId(), owner: 'ada', ...fields });

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
        const stored = await things.insert(draft);
        expect(stored).toEqual({ ...draft, rev: 1 });
        expect(await things.find('_id', draft._id)).toEqual(stored);
        expect(await things.find('byEmail', 'ada@example.com')).toEqual(stored);
        expect(await things.find('byOwnerKind', 'card', 'ada')).toEqual(stored);
      });

      it('finds nothing under an id that nobody inserted', async () => {
        expect(await things.find('_id', newId())).toBeUndefined();
        expect(await things.find('byEmail', 'nobody@example.com')).toBeUndefined();
      });

      it('finds the first document of an index that is not unique', async () => {
        const first = await add({ _id: 'a1' });
        await add({ _id: 'a2' });
        expect(await things.find('byOwner', 'ada')).toEqual(first);
        expect(await things.find('byOwner', 'bob')).toBeUndefined();
      });

      it('leaves out the fields that a document lacks instead of making them null', async () => {
        const { _id } = await add();
        expect(Object.keys((await things.find('_id', _id))!).sort()).toEqual(['_id', 'owner', 'rev']);
      });

      it('stores and reads back only the fields of the definition', async () => {
        const { _id } = await things.insert({ _id: newId(), owner: 'ada', smuggled: 'x' } as never);
        expect(await things.find('_id', _id)).not.toHaveProperty('smuggled');
        const wider = fixture.engine.collection({
          ...things.definition,
          sealed: false,
          fields: { ...things.definition.fields, smuggled: 'string' },
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
        await expect(things.insert({ _id: 'x', owner: 'ada', ...fields } as never)).rejects.toThrow(TypeError);
        expect(await things.count('_id', [])).toBe(0);
      });

      it.each([
        ['an operator object', { $ne: null }],
        ['a list', ['a']],
        ['null', null],
        ['undefined', undefined],
        ['a regular expression', /./],
        ['a number where the field is text', 1],
      ])('refuses %s as a key with a TypeError', async (_what, key) => {
        await add({ email: 'ada@example.com' });
        await expect(things.find('byEmail', key as never)).rejects.toThrow(TypeError);
        await expect(things.find('_id', key as never)).rejects.toThrow(TypeError);
        await expect(things.list('byOwner', [key as never], { limit: 1 })).rejects.toThrow(TypeError);
        await expect(things.count('byOwner', [key as never])).rejects.toThrow(TypeError);
        await expect(things.remove(key as never)).rejects.toThrow(TypeError);
      });

      it.each(['nope', '__proto__', 'constructor', 'toString', ''])(
        'throws a TypeError for %j, which is no index of the definition',
        async (index) => {
          await expect(things.find(index, 'x')).rejects.toThrow(TypeError);
          await expect(things.list(index, [], { limit: 1 })).rejects.toThrow(TypeError);
          await expect(things.count(index, [])).rejects.toThrow(TypeError);
        },
      );

      it('throws a TypeError for a key that is longer than its index or, on a unique one, shorter', async () => {
        await expect(things.find('byEmail', 'a', 'b')).rejects.toThrow(TypeError);
        await expect(things.find('byOwnerKind', 'card')).rejects.toThrow(TypeError);
        await expect(things.find('_id')).rejects.toThrow(TypeError);
      });

      it.each(AWKWARD_TEXTS)('takes %j for plain text in a field, in a key and in an id', async (text) => {
        const other = await add({ _id: 'other', owner: 'other', email: 'other' });
        const stored = await add({ _id: `id-${text}`, owner: text, email: text, kind: text });
        expect(await things.find('_id', stored._id)).toEqual(stored);
        expect(await things.find('byEmail', text)).toEqual(stored);
        expect((await things.list('byOwner', [text], { limit: 10 })).items).toEqual([stored]);
        expect(await things.count('byOwner', [text])).toBe(1);
        await expect(add({ email: text })).rejects.toBeInstanceOf(DuplicateKey);
        expect(await things.remove(stored._id, 1)).toBe(true);
        expect(await things.find('byEmail', text)).toBeUndefined();
        expect(await things.find('byEmail', 'other')).toEqual(other);
      });

      it('tells all awkward texts apart in one unique index', async () => {
        for (const text of AWKWARD_TEXTS) await add({ email: text });
        for (const text of AWKWARD_TEXTS) expect((await things.find('byEmail', text))?.email).toBe(text);
      });

      it('keeps any names inside a json field, whatever they mean elsewhere', async () => {
        const notes = JSON.parse(
          '{"$ne":1,"a.b":{"$where":"x"},"__proto__":{"admin":true},"":0,"\\u0000":[],"constructor":null}',
        ) as object;
        const { _id } = await add({ notes });
        const found = await things.find('_id', _id);
        expect(JSON.stringify(found?.notes)).toBe(JSON.stringify(notes));
        expect(({} as { admin?: boolean }).admin).toBeUndefined();
      });

      it('stores a lone surrogate as the replacement character, so that its key is found again', async () => {
        const { _id } = await add({ email: 'a\ud800b' });
        expect((await things.find('byEmail', 'a\ud800b'))?._id).toBe(_id);
        expect((await things.find('_id', _id))?.email).toBe('a\ufffdb');
      });
    });

    describe('unique indexes', () => {
      it('refuses a second document under the same id and names _id', async () => {
        const first = await add({ _id: 'same' });
        await expect(add({ _id: 'same', owner: 'eve' })).rejects.toMatchObject({ name: 'DuplicateKey', index: '_id' });
        expect(await things.find('_id', 'same')).toEqual(first);
      });

      it('refuses a second document under a unique key and names collection and index', async () => {
        await add({ email: 'ada@example.com' });
        const refused = add({ email: 'ada@example.com' });
        await expect(refused).rejects.toBeInstanceOf(DuplicateKey);
        await expect(refused).rejects.toMatchObject({ collection: things.definition.name, index: 'byEmail' });
        expect(await things.count('_id', [])).toBe(1);
      });

      it('counts all fields of a compound unique key', async () => {
        await add({ owner: 'ada', kind: 'card' });
        await add({ owner: 'bob', kind: 'card' });
        await add({ owner: 'ada', kind: 'note' });
        await expect(add({ owner: 'ada', kind: 'card' })).rejects.toMatchObject({ index: 'byOwnerKind' });
      });

      it('does not confuse a compound key with another that is spelled the same in one piece', async () => {
        await add({ owner: 'b', kind: 'a' });
        await add({ owner: '', kind: 'ab' });
        await add({ owner: 'ab', kind: '' });
        expect((await things.find('byOwnerKind', 'ab', ''))?.owner).toBe('');
        expect((await things.find('byOwnerKind', '', 'ab'))?.owner).toBe('ab');
      });

      it('lets any number of documents lack an optional unique field', async () => {
        await Promise.all(Array.from({ length: 5 }, () => add()));
        expect(await things.count('_id', [])).toBe(5);
        expect(await things.count('byEmail', [])).toBe(0);
      });

      it('refuses a replace that would take the key of another document, and leaves both as they were', async () => {
        const ada = await add({ email: 'ada@example.com' });
        const bob = await add({ email: 'bob@example.com' });
        await expect(things.replace({ ...bob, email: 'ada@example.com' })).rejects.toMatchObject({ index: 'byEmail' });
        expect(await things.find('byEmail', 'bob@example.com')).toEqual(bob);
        expect(await things.find('byEmail', 'ada@example.com')).toEqual(ada);
      });

      it('frees a key when its document is removed, loses the field or takes another value', async () => {
        const first = await add({ email: 'one@example.com' });
        const { email: _dropped, ...bare } = (await things.replace({ ...first, email: 'two@example.com' }))!;
        await add({ email: 'one@example.com' });
        await things.replace(bare);
        const third = await add({ email: 'two@example.com' });
        await things.remove(third._id);
        await add({ email: 'two@example.com' });
        expect(await things.count('byEmail', [])).toBe(2);
      });

      it('lets one of many racing inserts of a key through', async () => {
        const race = Array.from({ length: 20 }, () => add({ email: 'only@example.com' }));
        const outcomes = await Promise.allSettled(race);
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
        expect(refusals.every((reason) => reason instanceof DuplicateKey)).toBe(true);
      });
    });

    describe('replace and remove', () => {
      it('replaces at the revision that was read and returns the next one', async () => {
        const first = await add({ kind: 'card' });
        const second = await things.replace({ ...first, kind: 'note' });
        expect(second).toEqual({ ...first, kind: 'note', rev: 2 });
        expect(await things.find('_id', first._id)).toEqual(second);
      });

      it('replaces the whole document: a field that is not given is gone', async () => {
        const { kind: _dropped, ...bare } = await add({ kind: 'card' });
        await things.replace(bare);
        expect(await things.find('_id', bare._id)).not.toHaveProperty('kind');
      });

      it('does nothing where the revision moved on', async () => {
        const first = await add({ kind: 'card' });
        const second = await things.replace({ ...first, kind: 'note' });
        expect(await things.replace({ ...first, kind: 'lost' })).toBeUndefined();
        expect(await things.find('_id', first._id)).toEqual(second);
      });

      it('does nothing for a revision that is yet to come', async () => {
        const first = await add();
        expect(await things.replace({ ...first, rev: 2 })).toBeUndefined();
        expect((await things.find('_id', first._id))?.rev).toBe(1);
      });

      it('does not bring back a document that is gone', async () => {
        const first = await add();
        await things.remove(first._id);
        expect(await things.replace(first)).toBeUndefined();
        expect(await things.count('_id', [])).toBe(0);
      });

      it('lets one of many racing replaces of a revision through', async () => {
        const first = await add();
        const race = Array.from({ length: 20 }, (_, size) => things.replace({ ...first, size }));
        const won = (await Promise.all(race)).filter((stored) => stored !== undefined);
        expect(won).toHaveLength(1);
        expect(await things.find('_id', first._id)).toEqual(won[0]);
      });

      it('moves a document from one key of an index to another', async () => {
        const first = await add({ size: 1 });
        await things.replace({ ...first, size: 2 });
        expect(await things.count('bySize', [1])).toBe(0);
        expect(await things.count('bySize', [2])).toBe(1);
      });

      it('removes once, and says so', async () => {
        const { _id } = await add({ email: 'ada@example.com' });
        expect(await things.remove(_id)).toBe(true);
        expect(await things.remove(_id)).toBe(false);
        expect(await things.find('byEmail', 'ada@example.com')).toBeUndefined();
        expect(await things.count('byOwner', ['ada'])).toBe(0);
      });

      it('removes at a revision only if it still holds', async () => {
        const first = await add();
        await things.replace(first);
        expect(await things.remove(first._id, 1)).toBe(false);
        expect(await things.remove(first._id, 2)).toBe(true);
      });

      it('lets one of many racing removes of a revision through', async () => {
        const { _id } = await add();
        const won = await Promise.all(Array.from({ length: 20 }, () => things.remove(_id, 1)));
        expect(won.filter(Boolean)).toHaveLength(1);
      });

      it('replaces many, counts those that held and leaves the others alone', async () => {
        const docs = await Promise.all(Array.from({ length: 10 }, () => add({ size: 0 })));
        await things.replace(docs[3]!);
        await things.remove(docs[7]!._id);
        expect(await things.replaceMany(docs.map((doc) => ({ ...doc, size: 9 })))).toBe(8);
        expect(await things.count('bySize', [9])).toBe(8);
        expect((await things.find('_id', docs[3]!._id))?.size).toBe(0);
        expect(await things.find('_id', docs[7]!._id)).toBeUndefined();
      });

      it('does not count a document of many that a unique index refuses, and stores its neighbours', async () => {
        await add({ email: 'taken@example.com' });
        const docs = await Promise.all([add({ email: 'a' }), add({ email: 'b' }), add({ email: 'c' })]);
        const [a, b, c] = docs as [ThingDoc, ThingDoc, ThingDoc];
        const changed = [
          { ...a, size: 1 },
          { ...b, email: 'taken@example.com' },
          { ...c, size: 1 },
        ];
        expect(await things.replaceMany(changed)).toBe(2);
        expect((await things.find('byEmail', 'b'))?.rev).toBe(1);
      });

      it('takes no documents and a thousand, but not more', async () => {
        expect(await things.replaceMany([])).toBe(0);
        const absent = (count: number) =>
          Array.from({ length: count }, (_, i) => ({ _id: `n${i}`, rev: 1, owner: 'x' }));
        expect(await things.replaceMany(absent(1_000))).toBe(0);
        await expect(things.replaceMany(absent(1_001))).rejects.toThrow(TypeError);
      });
    });

    describe('list and count', () => {
      it('lists nothing of an empty collection, without a next page', async () => {
        expect(await things.list('byOwner', ['ada'], { limit: 10 })).toEqual({ items: [], next: undefined });
        expect(await things.list('_id', [], { limit: 10, reverse: true })).toEqual({ items: [], next: undefined });
      });

      it.each([0, -1, 1.5, Number.NaN])('refuses %d as a limit', async (limit) => {
        await expect(things.list('_id', [], { limit })).rejects.toThrow(TypeError);
      });

      it('lists by prefixes of a compound index, whole parts only', async () => {
        const wanted = [
          await add({ _id: '1', owner: 'ada', kind: 'card', size: 2 }),
          await add({ _id: '2', owner: 'ada', kind: 'note', size: 1 }),
        ];
        await add({ _id: '3', owner: 'ada2', kind: 'card', size: 1 });
        await add({ _id: '4', owner: 'ad', kind: 'acard', size: 1 });
        const list = async (...prefix: (string | number)[]) =>
          ids((await things.list('byOwnerKindSize', prefix, { limit: 10 })).items);
        expect(await list('ada')).toEqual(ids(wanted));
        expect(await list('ada', 'card')).toEqual(['1']);
        expect(await list('ada', 'card', 2)).toEqual(['1']);
        expect(await list('ada', 'card', 1)).toEqual([]);
        expect(await list()).toEqual(['4', '1', '2', '3']);
        expect(await things.count('byOwnerKindSize', ['ada'])).toBe(2);
        expect(await things.count('byOwnerKindSize', [])).toBe(4);
      });

      it('leaves out documents that lack a field of the index, whatever the prefix', async () => {
        await add({ owner: 'ada', kind: 'card' });
        await add({ owner: 'ada', size: 1 });
        expect((await things.list('byOwnerKindSize', ['ada'], { limit: 10 })).items).toEqual([]);
        expect(await things.count('byOwnerKindSize', ['ada'])).toBe(0);
        expect(await things.count('byOwner', ['ada'])).toBe(2);
      });

      it('orders equal keys by id', async () => {
        for (const _id of ['c', 'a', 'B', 'b', 'ä', '1']) await add({ _id });
        expect(ids((await things.list('byOwner', ['ada'], { limit: 10 })).items)).toEqual([
          '1',
          'B',
          'a',
          'b',
          'c',
          'ä',
        ]);
      });

      it('orders texts by their code points', async () => {
        const texts = ['', 'a', 'a\u0000', 'a\u0001', 'ab', 'b', 'Z', '~', 'é', '\ue000', '\uffff', '👍', 'a b', 'aa'];
        for (const owner of texts) await add({ owner });
        const { items } = await things.list('byOwner', [], { limit: 100 });
        expect(items.map(({ owner }) => owner)).toEqual([...texts].sort(byBytes));
      });

      it('orders numbers as numbers', async () => {
        const sizes = [0, -0, 1, -1, 9, 10, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300, -1e300, 5e-324, -5e-324, 0.1, -0.1];
        for (const size of sizes) await add({ size });
        const { items } = await things.list('bySize', [], { limit: 100 });
        const listed = items.map(({ size }) => size);
        expect(listed).toEqual(sizes.map((size) => size + 0).sort((a, b) => a - b));
        expect(await things.count('bySize', [-0])).toBe(2);
      });

      it('orders false before true and times by the clock', async () => {
        await add({ _id: '1', open: true, at: 20 });
        await add({ _id: '2', open: false, at: 9 });
        await add({ _id: '3', open: true, at: 1_900_000_000_000 });
        expect(ids((await things.list('byOpen', [], { limit: 10 })).items)).toEqual(['2', '1', '3']);
        expect(await things.count('byOpen', [true])).toBe(2);
        expect(ids((await things.list('byTime', [], { limit: 10 })).items)).toEqual(['2', '1', '3']);
        expect((await things.find('byTime', 20))?._id).toBe('1');
      });

      it.each([
        ['forwards', false],
        ['backwards', true],
      ])('pages %s through each document once, in order', async (_direction, reverse) => {
        for (let i = 0; i < 23; i += 1) await add({ owner: 'ada', kind: `k${i}`, size: i % 3 });
        await add({ owner: 'bob', size: 1 });
        for (const [index, prefix] of [
          ['byOwner', ['ada']],
          ['bySize', []],
          ['byOwnerKindSize', ['ada']],
          ['byOwnerKind', []],
          ['_id', []],
        ] as const) {
          const list = (options: ListOptions) => things.list(index, prefix, options);
          const atOnce = ids((await list({ limit: 100, reverse })).items);
          const paged = ids(await allPages(list, { limit: 4, reverse }));
          expect(paged).toEqual(atOnce);
          expect(new Set(paged).size).toBe(paged.length);
        }
      });

      it('lists backwards what it lists forwards, turned round', async () => {
        for (let i = 0; i < 5; i += 1) await add({ size: i % 2 });
        const forwards = ids((await things.list('bySize', [], { limit: 10 })).items);
        const backwards = ids((await things.list('bySize', [], { limit: 10, reverse: true })).items);
        expect(backwards).toEqual([...forwards].reverse());
      });

      it('has no next page exactly when the last document was shown', async () => {
        for (let i = 0; i < 4; i += 1) await add();
        expect((await things.list('byOwner', ['ada'], { limit: 4 })).next).toBeUndefined();
        expect((await things.list('byOwner', ['ada'], { limit: 5 })).next).toBeUndefined();
        expect((await things.list('byOwner', ['ada'], { limit: 3 })).next).toEqual(expect.any(String));
      });

      it.each([
        ['forwards', false],
        ['backwards', true],
      ])('shows every document that stays, once, while others come and go (%s)', async (_direction, reverse) => {
        const lasting = Array.from({ length: 20 }, (_, i) => `m${String(i * 10).padStart(4, '0')}`);
        for (const _id of lasting) await add({ _id });
        const seen: string[] = [];
        let after: string | undefined;
        let round = 0;
        do {
          const page = await things.list('byOwner', ['ada'], { limit: 3, reverse, ...(after ? { after } : {}) });
          seen.push(...ids(page.items));
          after = page.next;
          // Before, behind and at the position itself.
          await Promise.all([
            add({ _id: `m${String(round * 31 + 1).padStart(4, '0')}` }),
            add({ _id: `z${round}` }),
            add({ _id: `a${round}` }),
          ]);
          const gone = seen.at(-1)!;
          if (!lasting.includes(gone)) await things.remove(gone);
          round += 1;
        } while (after !== undefined);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen.filter((id) => lasting.includes(id)).sort()).toEqual(lasting);
      });

      it('goes on behind a position whose document has gone', async () => {
        for (const _id of ['a', 'b', 'c', 'd']) await add({ _id });
        const { next } = await things.list('byOwner', ['ada'], { limit: 2 });
        await things.remove('b');
        expect(ids((await things.list('byOwner', ['ada'], { limit: 9, after: next! })).items)).toEqual(['c', 'd']);
      });

      it('gives positions that hold awkward keys and go on behind them', async () => {
        for (const email of AWKWARD_TEXTS) await add({ email });
        const list = (options: ListOptions) => things.list('byEmail', [], options);
        const paged = await allPages(list, { limit: 1 });
        expect(paged.map(({ email }) => email).sort()).toEqual([...AWKWARD_TEXTS].sort());
      });
    });

    describe('several stores over the same rows', () => {
      it('reads what another one has written as soon as that one says so', async () => {
        const other = (await fixture.another()).collection(things.definition);
        for (let size = 0; size < 20; size += 1) {
          const { _id } = await other.insert({ _id: newId(), owner: 'ada', size });
          expect((await things.find('_id', _id))?.size).toBe(size);
        }
      });

      it('prepares at the same time as others and again without a fault', async () => {
        const definition = thingDefinition();
        const stores = [store, await fixture.another()];
        for (const each of stores) each.collection(definition);
        await Promise.all([...stores, ...stores].map((each) => each.prepare()));
        await store.collection(definition).insert({ _id: '1', owner: 'ada', email: 'x' });
        await store.prepare();
        const again = stores[1]!.collection(definition).insert({ _id: '2', owner: 'ada', email: 'x' });
        await expect(again).rejects.toBeInstanceOf(DuplicateKey);
      });

      it('brings rows of an older definition into an index that a newer one adds or changes', async () => {
        const newer = things.definition;
        const name = `older_${randomUUID().slice(0, 8)}`;
        const first = await fixture.another();
        const older: typeof newer = { ...newer, name, indexes: { byOwner: { fields: ['owner', 'kind'] } } };
        const olderThings = first.collection(older);
        await first.prepare();
        for (const _id of ['1', '2']) await olderThings.insert({ _id, owner: 'ada', email: `${_id}@example.com` });
        const second = await fixture.another();
        const newerThings = second.collection({ ...newer, name });
        await second.prepare();
        expect(ids((await newerThings.list('byOwner', ['ada'], { limit: 9 })).items)).toEqual(['1', '2']);
        expect((await newerThings.find('byEmail', '2@example.com'))?._id).toBe('2');
        const refused = newerThings.insert({ _id: '3', owner: 'ada', email: '1@example.com' });
        await expect(refused).rejects.toMatchObject({ index: 'byEmail' });
      });
    });

    describe('update', () => {
      it('loses no increment of many that race for one document', async () => {
        const { _id } = await add({ size: 0 });
        const increment = () => update(things, _id, (doc) => ({ ...doc, size: (doc.size ?? 0) + 1 }));
        await Promise.all(Array.from({ length: 10 }, increment));
        expect((await things.find('_id', _id))?.size).toBe(10);
      });

      it('leaves a document alone where the change says so, and returns it', async () => {
        const doc = await add();
        expect(await update(things, doc._id, () => undefined)).toEqual(doc);
        expect((await things.find('_id', doc._id))?.rev).toBe(1);
      });

      it('returns nothing and asks for no change where there is no document', async () => {
        const change = jest.fn();
        expect(await update(things, newId(), change)).toBeUndefined();
        expect(change).not.toHaveBeenCalled();
      });

      it('passes on what the change throws, with nothing stored', async () => {
        const doc = await add();
        const failing = update(things, doc._id, () => {
          throw new RangeError('no');
        });
        await expect(failing).rejects.toThrow(RangeError);
        expect(await things.find('_id', doc._id)).toEqual(doc);
      });

      it('gives up with conflict on a document that never holds still', async () => {
        const { _id } = await add({ size: 0 });
        const restless = update(things, _id, async (doc) => {
          await things.replace(doc);
          return { ...doc, size: 1 };
        });
        await expect(restless).rejects.toMatchObject({ code: 'conflict' });
        expect((await things.find('_id', _id))?.size).toBe(0);
      });
    });

    it('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined();
    });
  });
}
