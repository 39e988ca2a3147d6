import { createHmac } from 'node:crypto';
import {
  type Collection,
  type CollectionDefinition,
  type Doc,
  AuthenticatedStore,
  type Store,
  update,
} from '../../src/store';
import { SecretBytes } from '../../src/kernel';
import { FixedSecrets } from '../support/sealed-store';
import { thingDefinition, type ThingDoc } from './collection/things';

export interface SealedFixture {
  readonly engine: Store;
  close(): Promise<void>;
}

/** A row as it lies in the store, and whatever somebody makes of it. */
interface RawRow extends Doc {
  readonly [field: string]: string | number | boolean;
}

const RAW_FIELDS = {
  owner: 'string',
  kind: 'string',
  size: 'number',
  open: 'boolean',
  at: 'time',
  email: 'string',
  notes: 'string',
  seal: 'string',
  smuggled: 'string',
} as const;

const FUTURE_RAW = { note: 'string', weight: 'number', flag: 'boolean', due: 'time', extra: 'string' } as const;

interface FutureDoc extends ThingDoc {
  readonly note?: string;
  readonly weight?: number;
  readonly flag?: boolean;
  readonly due?: number;
  readonly extra?: object;
}

/** The same collection in a release that has fields more, of each kind. */
const futureDefinition = (definition: CollectionDefinition<ThingDoc>): CollectionDefinition<FutureDoc> =>
  ({ ...definition, fields: { ...definition.fields, ...FUTURE_RAW, extra: 'json' } }) as never;

/** What somebody with write access to the database can do, and what becomes of it. */
export function sealedCollectionContract(name: string, open: () => Promise<SealedFixture>): void {
  describe(`row seals on ${name}`, () => {
    let fixture: SealedFixture;
    let forgeries: string[];
    let store: Store;
    let things: Collection<ThingDoc>;
    let raw: Collection<RawRow>;

    beforeAll(async () => (fixture = await open()), 60_000);
    afterAll(() => fixture.close());
    beforeEach(async () => {
      forgeries = [];
      store = sealing(new FixedSecrets());
      things = store.collection(thingDefinition());
      raw = rawView(things);
      await store.prepare();
    });

    const sealing = (secrets: FixedSecrets): Store =>
      new AuthenticatedStore(fixture.engine, secrets, {
        onForgedRow: (collection, id) => forgeries.push(`${collection}/${id}`),
      });

    const rawView = (collection: Collection<ThingDoc>): Collection<RawRow> =>
      fixture.engine.collection({
        ...collection.definition,
        fields: RAW_FIELDS,

        authenticated: false,
      } as unknown as CollectionDefinition<RawRow>);

    const card = (fields: Partial<ThingDoc> = {}): Promise<ThingDoc> =>
      things.insert({
        _id: 'card',
        owner: 'ada',
        kind: 'card',
        size: 1,
        open: false,
        at: 5,
        email: 'a@b',
        notes: { a: 1 },
        ...fields,
      });

    /** Changes the stored row and puts its revision back, as somebody past Coffer would. */
    async function tamper(id: string, change: (row: RawRow) => RawRow): Promise<void> {
      const before = (await raw.find('_id', id))!;
      const after = change(before);
      expect(after).not.toEqual(before);
      await raw.remove(id);
      await raw.insert(after);
      for (let rev = 1; rev < after.rev; rev += 1) await raw.replace({ ...after, rev });
    }

    async function expectForged(id = 'card'): Promise<void> {
      await expect(things.find('_id', id)).rejects.toMatchObject({ code: 'integrity_failed' });
      await expect(things.findLinearizable(id)).rejects.toMatchObject({ code: 'integrity_failed' });
      expect(forgeries).toContain(`${things.definition.name}/${id}`);
    }

    it('reads a row that nobody touched and reports nothing', async () => {
      const stored = await card();
      expect(await things.find('_id', 'card')).toEqual(stored);
      expect(await things.find('_id', 'card')).not.toHaveProperty('seal');
      expect(forgeries).toEqual([]);
    });

    it('stores a seal with each row, another one at each revision', async () => {
      await things.replace(await card());
      const second = (await raw.find('_id', 'card'))!;
      await things.replace((await things.find('_id', 'card'))!);
      const third = (await raw.find('_id', 'card'))!;
      expect(second['seal']).toMatch(/^2:[0-9a-f]{64}$/);
      expect(third['seal']).not.toBe(second['seal']);
    });

    it.each<[string, Partial<RawRow>]>([
      ['a text', { owner: 'eve' }],
      ['a number', { size: 2 }],
      ['a boolean', { open: true }],
      ['a time', { at: 6 }],
      ['a json field', { notes: '{"a":2}' }],
      ['the spelling of a json field', { notes: '{ "a": 1 }' }],
      ['a json field into what is no json', { notes: '{' }],
    ])('refuses a row in which somebody changed %s', async (_what, change) => {
      await card();
      await tamper('card', (row) => ({ ...row, ...change }) as RawRow);
      await expectForged();
    });

    it('refuses a row that lost a field or was given one that it never had', async () => {
      await card();
      await tamper('card', ({ open: _gone, ...row }) => row);
      await expectForged();
      await things.insert({ _id: 'bare', owner: 'ada' });
      await tamper('bare', (row) => ({ ...row, open: true }));
      await expectForged('bare');
    });

    it('refuses a value that moved from one field to its neighbour', async () => {
      await card({ kind: 'same', email: 'other' });
      await tamper('card', (row) => ({ ...row, kind: 'other', email: 'same' }));
      await expectForged();
    });

    it('refuses a row without a seal, with an empty one and with another one', async () => {
      await card();
      await tamper('card', ({ seal: _stripped, ...row }) => row);
      await expectForged();
      for (const seal of ['', '00', '2:', 'f'.repeat(64), `2:${'f'.repeat(64)}`, 'é'.repeat(64)]) {
        await tamper('card', (row) => ({ ...row, seal }));
        await expectForged();
      }
    });

    it('refuses a row whose revision was changed, so that no old compare-and-set holds again', async () => {
      await things.replace(await card());
      await tamper('card', (row) => ({ ...row, rev: 1 }));
      await expectForged();
      await tamper('card', (row) => ({ ...row, rev: 3 }));
      await expectForged();
    });

    it('refuses a genuine row under the id of another', async () => {
      await card();
      await things.insert({ _id: 'other', owner: 'bob', kind: 'note' });
      const genuine = (await raw.find('_id', 'card'))!;
      await raw.remove('card');
      await tamper('other', () => ({ ...genuine, _id: 'other' }));
      await expectForged('other');
    });

    it('refuses a genuine row of another collection, byte for byte', async () => {
      const elsewhere = store.collection(thingDefinition());
      await store.prepare();
      await elsewhere.insert({ _id: 'card', owner: 'ada' });
      await raw.insert((await rawView(elsewhere).find('_id', 'card'))!);
      await expectForged();
    });

    it('refuses rows that were sealed under another key', async () => {
      const otherSecrets = new FixedSecrets();
      Object.assign(otherSecrets, { integrity: new SecretBytes(Buffer.alloc(32, 9)) });
      await sealing(otherSecrets).collection(things.definition).insert({ _id: 'card', owner: 'ada' });
      await expectForged();
    });

    it('refuses a field that the definition does not name and that no release sealed', async () => {
      await card();
      await tamper('card', (row) => ({ ...row, smuggled: 'x' }));
      await expectForged();
    });

    describe('of a newer release', () => {
      const FUTURE = { note: 'n', weight: 1.5, flag: false, due: 86_400_000, extra: { b: [1, 'x'] } };
      const CHANGES: readonly [string, object][] = [
        ['changed', { note: 'm' }],
        ['changed into another kind', { weight: '1.5' }],
        ['moved by a millisecond', { due: 86_400_001 }],
      ];
      let newer: Collection<FutureDoc>;

      beforeEach(async () => {
        newer = sealing(new FixedSecrets()).collection(futureDefinition(things.definition));
        await store.prepare();
        await newer.insert({ _id: 'card', owner: 'ada', kind: 'card', ...FUTURE });
      });

      it('are read with the fields that this one knows', async () => {
        const found = (await things.find('_id', 'card'))!;
        expect({ ...found }).toMatchObject({ _id: 'card', rev: 1, owner: 'ada', kind: 'card' });
        expect(Object.keys(found).sort()).toEqual(['_id', 'kind', 'owner', 'rev']);
        expect(JSON.parse(JSON.stringify(found))).toEqual({ _id: 'card', rev: 1, owner: 'ada', kind: 'card' });
        expect(forgeries).toEqual([]);
      });

      it.each<[string, (doc: ThingDoc) => Promise<unknown>]>([
        ['a replace', async (doc) => things.replace({ ...doc, size: 7 })],
        ['a bulk', async (doc) => things.replaceMany([{ ...doc, size: 7 }])],
        ['an update', async ({ _id }) => update(things, _id, (doc) => ({ ...doc, size: 7 }))],
        ['a replace without a field', async ({ kind: _gone, ...doc }) => things.replace({ ...doc, size: 7 })],
      ])('keep their fields through %s by this one', async (_what, change) => {
        await change((await things.find('_id', 'card'))!);
        expect(await newer.find('_id', 'card')).toMatchObject({ rev: 2, owner: 'ada', size: 7, ...FUTURE });
        await change((await things.list('byOwner', ['ada'], { limit: 1 })).items[0]!);
        expect(await newer.find('_id', 'card')).toMatchObject({ rev: 3, owner: 'ada', size: 7, ...FUTURE });
        expect(forgeries).toEqual([]);
      });

      it.each(CHANGES)('are refused by this one where an unknown field was %s', async (_what, change) => {
        const wide = fixture.engine.collection<RawRow>({
          ...rawView(things).definition,
          fields: { ...RAW_FIELDS, ...FUTURE_RAW, ...('weight' in change ? { weight: 'string' } : {}) } as never,
        });
        const before = (await wide.find('_id', 'card'))!;
        await wide.remove('card');
        await wide.insert({ ...before, ...change });
        await expectForged();
      });

      it('are refused by this one where an unknown field was taken away', async () => {
        await tamper('card', (row) => Object.fromEntries(Object.entries(row)) as unknown as RawRow);
        await expectForged();
      });
    });

    describe('in the form of schema 1', () => {
      /** As that release wrote it: every field that the row has, under its own label. */
      const formerSeal = (row: Readonly<Record<string, unknown>>): string => {
        const { _id, rev, ...fields } = row;
        const names = Object.keys(fields).sort();
        const parts = [
          'coffer-row-1',
          things.definition.name,
          _id,
          rev,
          ...names.flatMap((name) => [name, fields[name]]),
        ];
        const key = new FixedSecrets().integrity.bytes;
        return createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex');
      };
      const former = { _id: 'card', rev: 1, owner: 'ada', kind: 'card', at: 5, notes: '{"a":1}', open: false };
      const put = (row: RawRow): Promise<RawRow> => raw.insert(row);

      it('opens for ever, and has the present form from its next revision on', async () => {
        await put({ ...former, seal: formerSeal(former) });
        const found = (await things.find('_id', 'card'))!;
        expect(found).toEqual({ ...former, notes: { a: 1 } });
        await things.replace({ ...found, size: 3 });
        expect((await raw.find('_id', 'card'))!['seal']).toMatch(/^2:/);
        expect(await things.find('_id', 'card')).toEqual({ ...former, notes: { a: 1 }, size: 3, rev: 2 });
        expect(forgeries).toEqual([]);
      });

      it('opens with a field that the present release does not know any more', async () => {
        const row = { ...former, smuggled: 'by a former release' };
        await put({ ...row, seal: formerSeal(row) });
        await things.replace((await things.find('_id', 'card'))!);
        expect((await raw.find('_id', 'card'))!['smuggled']).toBe('by a former release');
        expect(await things.find('_id', 'card')).toBeDefined();
        expect(forgeries).toEqual([]);
      });

      it.each<[string, Partial<RawRow>]>([
        ['an unknown field', { smuggled: 'x' }],
        ['a known field that it lacked', { size: 9 }],
      ])('is refused with %s put in by somebody', async (_what, planted) => {
        await put({ ...former, seal: formerSeal(former), ...planted });
        await expectForged();
      });

      it('is not what a row of the present form can be taken for, nor the other way round', async () => {
        await put({ ...former, seal: `2:${formerSeal(former)}` });
        await expectForged();
        await raw.remove('card');
        await card();
        await tamper('card', (row) => ({ ...row, seal: String(row['seal']).slice(2) }));
        await expectForged();
      });
    });

    it('cannot be made to take back a row by a replace from an older reading', async () => {
      const first = await card();
      const second = await things.replace({ ...first, size: 2 });
      expect(await things.replace({ ...first, size: 3 })).toBeUndefined();
      expect(await things.find('_id', 'card')).toEqual(second);
    });

    it('seals each row of a bulk', async () => {
      const docs = await Promise.all(['1', '2'].map((_id) => things.insert({ _id, owner: 'ada' })));
      expect(await things.replaceMany(docs.map((doc) => ({ ...doc, size: 7 })))).toBe(2);
      expect((await things.list('bySize', [7], { limit: 5 })).items).toHaveLength(2);
      expect(forgeries).toEqual([]);
    });

    describe('in lists', () => {
      beforeEach(async () => {
        for (const _id of ['1', '2', '3']) await things.insert({ _id, owner: 'ada', size: 1 });
        await tamper('2', (row) => ({ ...row, size: 9 }));
      });

      it('refuses the whole page on data', async () => {
        const page = things.list('byOwner', ['ada'], { limit: 5 });
        await expect(page).rejects.toMatchObject({ code: 'integrity_failed' });
        expect(forgeries).toEqual([`${things.definition.name}/2`]);
      });

      it('gives a job the good rows and names the bad ones', async () => {
        const named: string[] = [];
        const page = await things.list('byOwner', ['ada'], { limit: 5, onTampered: (id) => named.push(id) });
        expect(page.items.map(({ _id }) => _id)).toEqual(['1', '3']);
        expect(named).toEqual(['2']);
        expect(forgeries).toEqual([`${things.definition.name}/2`]);
      });

      it('goes on to the next page behind a bad row', async () => {
        const onTampered = (): void => undefined;
        const first = await things.list('byOwner', ['ada'], { limit: 2, onTampered });
        const second = await things.list('byOwner', ['ada'], { limit: 2, onTampered, after: first.next! });
        expect([...first.items, ...second.items].map(({ _id }) => _id)).toEqual(['1', '3']);
      });

      it('leaves the bad row out where it counts as absent', async () => {
        const lenient = store.collection({ ...things.definition, tampered: 'absent' });
        const page = await lenient.list('byOwner', ['ada'], { limit: 5 });
        expect(page.items.map(({ _id }) => _id)).toEqual(['1', '3']);
        expect(forgeries).toEqual([`${things.definition.name}/2`]);
      });
    });

    it('counts a bad row as absent on authentication paths, and still reports it', async () => {
      await card();
      await tamper('card', (row) => ({ ...row, owner: 'eve' }));
      const lenient = store.collection({ ...things.definition, tampered: 'absent' });
      expect(await lenient.find('_id', 'card')).toBeUndefined();
      expect(await lenient.find('byEmail', 'a@b')).toBeUndefined();
      expect(forgeries).toHaveLength(2);
    });

    it('leaves unsealed collections as the engine keeps them', async () => {
      const plain = store.collection({ ...thingDefinition(), authenticated: false });
      await plain.insert({ _id: '1', owner: 'ada' });
      expect(await rawView(plain).find('_id', '1')).toEqual({ _id: '1', rev: 1, owner: 'ada' });
    });
  });
}
