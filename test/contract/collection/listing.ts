import { type ListOptions, type Page } from '../../../src/store';
import { AWKWARD_TEXTS, ids, type Prepared, type ThingDoc } from './things';

/** Order of UTF-8 bytes: by code point. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

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

/** Order, prefixes, pages and counts. */
export function listingContract(at: Prepared): void {
  describe('list and count', () => {
    it('lists nothing of an empty collection, without a next page', async () => {
      expect(await at.things.list('byOwner', ['ada'], { limit: 10 })).toEqual({ items: [], next: undefined });
      expect(await at.things.list('_id', [], { limit: 10, reverse: true })).toEqual({ items: [], next: undefined });
    });

    it.each([0, -1, 1.5, Number.NaN])('refuses %d as a limit', async (limit) => {
      await expect(at.things.list('_id', [], { limit })).rejects.toThrow(TypeError);
    });

    it('lists by prefixes of a compound index, whole parts only', async () => {
      const wanted = [
        await at.add({ _id: '1', owner: 'ada', kind: 'card', size: 2 }),
        await at.add({ _id: '2', owner: 'ada', kind: 'note', size: 1 }),
      ];
      await at.add({ _id: '3', owner: 'ada2', kind: 'card', size: 1 });
      await at.add({ _id: '4', owner: 'ad', kind: 'acard', size: 1 });
      const list = async (...prefix: (string | number)[]) =>
        ids((await at.things.list('byOwnerKindSize', prefix, { limit: 10 })).items);
      expect(await list('ada')).toEqual(ids(wanted));
      expect(await list('ada', 'card')).toEqual(['1']);
      expect(await list('ada', 'card', 2)).toEqual(['1']);
      expect(await list('ada', 'card', 1)).toEqual([]);
      expect(await list()).toEqual(['4', '1', '2', '3']);
      expect(await at.things.count('byOwnerKindSize', ['ada'])).toBe(2);
      expect(await at.things.count('byOwnerKindSize', [])).toBe(4);
    });

    it('leaves out documents that lack a field of the index, whatever the prefix', async () => {
      await at.add({ owner: 'ada', kind: 'card' });
      await at.add({ owner: 'ada', size: 1 });
      expect((await at.things.list('byOwnerKindSize', ['ada'], { limit: 10 })).items).toEqual([]);
      expect(await at.things.count('byOwnerKindSize', ['ada'])).toBe(0);
      expect(await at.things.count('byOwner', ['ada'])).toBe(2);
    });

    it('counts no further than it is told', async () => {
      for (let size = 0; size < 5; size += 1) await at.add({ size });
      const counts = [1, 4, 5, 6].map((limit) => at.things.count('byOwner', ['ada'], limit));
      expect(await Promise.all(counts)).toEqual([1, 4, 5, 5]);
      expect(await at.things.count('byOwner', ['nobody'], 1)).toBe(0);
      await expect(at.things.count('byOwner', ['ada'], 0)).rejects.toThrow(TypeError);
    });

    it.each([1, 3, 100])('scans all documents under a prefix, %i a page', async (limit) => {
      const wanted: ThingDoc[] = [];
      for (let size = 0; size < 7; size += 1) {
        wanted.push(await at.add({ kind: `${size}`, size }));
        await at.add({ owner: 'eve', kind: `${size}`, size });
      }
      const scanned = async (index: string, prefix: string[]) =>
        ids(await allPages((options) => at.things.scan(index, prefix, options), { limit })).sort();
      expect(await scanned('byOwner', ['ada'])).toEqual(ids(wanted).sort());
      expect(await scanned('byOwnerKindSize', ['ada', '3'])).toEqual([wanted[3]?._id]);
      expect(await scanned('byOwner', ['nobody'])).toEqual([]);
      expect(await scanned('_id', [])).toHaveLength(14);
    });

    it('orders equal keys by id', async () => {
      for (const _id of ['c', 'a', 'B', 'b', 'ä', '1']) await at.add({ _id });
      expect(ids((await at.things.list('byOwner', ['ada'], { limit: 10 })).items)).toEqual([
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
      for (const owner of texts) await at.add({ owner });
      const { items } = await at.things.list('byOwner', [], { limit: 100 });
      expect(items.map(({ owner }) => owner)).toEqual([...texts].sort(byBytes));
    });

    it('orders numbers as numbers', async () => {
      const sizes = [0, -0, 1, -1, 9, 10, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300, -1e300, 5e-324, -5e-324, 0.1, -0.1];
      for (const size of sizes) await at.add({ size });
      const { items } = await at.things.list('bySize', [], { limit: 100 });
      const listed = items.map(({ size }) => size);
      expect(listed).toEqual(sizes.map((size) => size + 0).sort((a, b) => a - b));
      expect(await at.things.count('bySize', [-0])).toBe(2);
    });

    it('orders false before true and times by the clock', async () => {
      await at.add({ _id: '1', open: true, at: 20 });
      await at.add({ _id: '2', open: false, at: 9 });
      await at.add({ _id: '3', open: true, at: 1_900_000_000_000 });
      expect(ids((await at.things.list('byOpen', [], { limit: 10 })).items)).toEqual(['2', '1', '3']);
      expect(await at.things.count('byOpen', [true])).toBe(2);
      expect(ids((await at.things.list('byTime', [], { limit: 10 })).items)).toEqual(['2', '1', '3']);
      expect((await at.things.find('byTime', 20))?._id).toBe('1');
    });

    it.each([
      ['forwards', false],
      ['backwards', true],
    ])('pages %s through each document once, in order', async (_direction, reverse) => {
      for (let i = 0; i < 23; i += 1) await at.add({ owner: 'ada', kind: `k${i}`, size: i % 3 });
      await at.add({ owner: 'bob', size: 1 });
      for (const [index, prefix] of [
        ['byOwner', ['ada']],
        ['bySize', []],
        ['byOwnerKindSize', ['ada']],
        ['byOwnerKind', []],
        ['_id', []],
      ] as const) {
        const list = (options: ListOptions) => at.things.list(index, prefix, options);
        const atOnce = ids((await list({ limit: 100, reverse })).items);
        const paged = ids(await allPages(list, { limit: 4, reverse }));
        expect(paged).toEqual(atOnce);
        expect(new Set(paged).size).toBe(paged.length);
      }
    });

    it('lists backwards what it lists forwards, turned round', async () => {
      for (let i = 0; i < 5; i += 1) await at.add({ size: i % 2 });
      const forwards = ids((await at.things.list('bySize', [], { limit: 10 })).items);
      const backwards = ids((await at.things.list('bySize', [], { limit: 10, reverse: true })).items);
      expect(backwards).toEqual([...forwards].reverse());
    });

    it('has no next page exactly when the last document was shown', async () => {
      for (let i = 0; i < 4; i += 1) await at.add();
      expect((await at.things.list('byOwner', ['ada'], { limit: 4 })).next).toBeUndefined();
      expect((await at.things.list('byOwner', ['ada'], { limit: 5 })).next).toBeUndefined();
      expect((await at.things.list('byOwner', ['ada'], { limit: 3 })).next).toEqual(expect.any(String));
    });

    it.each([
      ['forwards', false],
      ['backwards', true],
    ])('shows every document that stays, once, while others come and go (%s)', async (_direction, reverse) => {
      const lasting = Array.from({ length: 20 }, (_, i) => `m${String(i * 10).padStart(4, '0')}`);
      for (const _id of lasting) await at.add({ _id });
      const seen: string[] = [];
      let after: string | undefined;
      let round = 0;
      do {
        const page = await at.things.list('byOwner', ['ada'], { limit: 3, reverse, ...(after ? { after } : {}) });
        seen.push(...ids(page.items));
        after = page.next;
        // Before, behind and at the position itself.
        await Promise.all([
          at.add({ _id: `m${String(round * 31 + 1).padStart(4, '0')}` }),
          at.add({ _id: `z${round}` }),
          at.add({ _id: `a${round}` }),
        ]);
        const gone = seen.at(-1)!;
        if (!lasting.includes(gone)) await at.things.remove(gone);
        round += 1;
      } while (after !== undefined);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => lasting.includes(id)).sort()).toEqual(lasting);
    });

    it('goes on behind a position whose document has gone', async () => {
      for (const _id of ['a', 'b', 'c', 'd']) await at.add({ _id });
      const { next } = await at.things.list('byOwner', ['ada'], { limit: 2 });
      await at.things.remove('b');
      expect(ids((await at.things.list('byOwner', ['ada'], { limit: 9, after: next! })).items)).toEqual(['c', 'd']);
    });

    it('gives the position behind a document that it shows, and behind one that ends the list', async () => {
      const docs = [await at.add({ _id: 'a' }), await at.add({ _id: 'b' }), await at.add({ _id: 'c' })];
      const { next } = await at.things.list('byOwner', ['ada'], { limit: 2 });
      expect(at.things.position('byOwner', 1, docs[1]!)).toBe(next);
      const behind = (doc: ThingDoc) =>
        at.things.list('byOwner', ['ada'], { limit: 9, after: at.things.position('byOwner', 1, doc) });
      expect(ids((await behind(docs[0]!)).items)).toEqual(['b', 'c']);
      expect(ids((await behind(docs[2]!)).items)).toEqual([]);
    });

    it('goes on in another list of the index from a position of this one', async () => {
      for (const _id of ['a', 'c', 'e']) await at.add({ _id, owner: 'mary' });
      const mine = await at.add({ _id: 'b' });
      const after = at.things.position('byOwner', 1, mine);
      expect(ids((await at.things.list('byOwner', ['mary'], { limit: 9, after })).items)).toEqual(['c', 'e']);
    });

    it('gives no position behind a document that lacks a field of the index', async () => {
      const doc = await at.add({ kind: 'card' });
      expect(() => at.things.position('byOwnerKindSize', 2, doc)).toThrow(TypeError);
      expect(() => at.things.position('unheardOf', 0, doc)).toThrow(TypeError);
    });

    it('gives positions that hold awkward keys and go on behind them', async () => {
      for (const email of AWKWARD_TEXTS) await at.add({ email });
      const list = (options: ListOptions) => at.things.list('byEmail', [], options);
      const paged = await allPages(list, { limit: 1 });
      expect(paged.map(({ email }) => email).sort()).toEqual([...AWKWARD_TEXTS].sort());
    });
  });
}
