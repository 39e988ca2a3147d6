import { randomUUID } from 'node:crypto';
import { createConnection, Connection, Model, mongo, Types } from 'mongoose';
import { describeWithPart, type Secantus, startSecantus } from '../../../test/support/parts';
import { waitFor } from '../../../test/support/processes';
import { FixedSecrets } from '../../../test/support/sealed-store';
import { useRealDeadlines } from '../../../test/support/settings';
import { CollectionDefinition, defineCollection, Doc, plain } from '../definition';
import { SCHEMA } from '../schema';
import { RowShape } from '../row-shape';
import { AuthenticatedStore } from '../authenticated-store';
import { formerIndexes } from './mongo-index-upkeep';
import { BsonRow, schemaOf } from './mongo-rows';
import { MongoStore } from './mongo-store';

useRealDeadlines();

interface TicketDoc extends Doc {
  readonly expires_at: number;
  readonly number?: string;
  readonly notes?: object;
}

const tickets = defineCollection<TicketDoc>({
  name: 'tickets',
  fields: { expires_at: plain.time, number: plain.string, notes: plain.json },
  indexes: { byNumber: { fields: ['number'], unique: true }, byTime: { fields: ['expires_at', 'number'] } },
  expiry: 'expires_at',
  tampered: 'refuse',
});

const sealedTickets: CollectionDefinition<TicketDoc> = { ...tickets, name: 'sealed_tickets', indexes: {} };

/** The result of a write: `done`, or the code of its error. */
const writes = (write: Promise<unknown>): Promise<unknown> =>
  write.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code,
  );

describeWithPart('secantus', 'the MongoDB store as the server sees it', () => {
  let server: Secantus;
  let store: MongoStore;
  let beside: Connection;

  beforeAll(async () => {
    server = await startSecantus();
    store = new MongoStore({ url: server.url, dbName: 'seen' });
    beside = await createConnection(server.url, { dbName: 'seen' }).asPromise();
    store.collection(tickets);
    await store.prepare();
  }, 60_000);
  afterAll(async () => {
    await beside.close();
    await store.close();
    await server.stop();
  });

  it('has partial indexes with the names of the definition, and one that lets rows expire', async () => {
    const indexes = await beside.collection('tickets').indexes();
    const present = { $exists: true };
    expect(indexes.map(({ v: _version, ...index }) => index)).toEqual(
      expect.arrayContaining([
        { name: '_id_', key: { _id: 1 } },
        { name: 'byNumber', key: { number: 1 }, unique: true, partialFilterExpression: { number: present } },
        {
          name: 'byTime',
          key: { expires_at: 1, number: 1, _id: 1 },
          partialFilterExpression: { expires_at: present, number: present },
        },
        { name: '_expiry', key: { expires_at: 1 }, expireAfterSeconds: 0 },
      ]),
    );
  });

  it('stores times as dates, json as text and nothing that nobody asked for', async () => {
    await store.collection(tickets).insert({ _id: '1', expires_at: 9_999_999_999_999, notes: { $set: 1 } });
    expect(await beside.collection<{ _id: string }>('tickets').findOne({ _id: '1' })).toEqual({
      _id: '1',
      rev: 1,
      expires_at: new Date(9_999_999_999_999),
      notes: '{"$set":1}',
    });
  });

  it.each<[string, unknown, string]>([
    ['an ObjectId', new Types.ObjectId('0123456789abcdef01234567'), '0123456789abcdef01234567'],
    ['bytes', new mongo.Binary(Buffer.from('ciphertext')), Buffer.from('ciphertext').toString('base64')],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a list', ['x'], 'x'],
    ['null', null, 'null'],
    ['a big number', mongo.Long.fromString('9007199254740993'), '9007199254740993'],
  ])('refuses %s where a newer release sealed a text', async (_what, planted, text) => {
    const sealed = new AuthenticatedStore(store, new FixedSecrets(), { onForgedRow: () => undefined });
    const rows = sealed.collection(sealedTickets);
    const fields = { ...sealedTickets.fields, later: 'string' } as const;
    const newer = sealed.collection({ ...sealedTickets, fields });
    const _id = randomUUID();
    await newer.insert({ _id, expires_at: 9_999_999_999_999, later: text } as unknown as TicketDoc);
    expect(await rows.find('_id', _id)).toBeDefined();
    await beside.collection<{ _id: string }>('sealed_tickets').updateOne({ _id }, { $set: { later: planted } });
    await expect(rows.find('_id', _id)).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  it('gives an index a name of its own where another one has its name, and leaves that', async () => {
    await beside.collection('tickets').dropIndex('byNumber');
    await beside.collection('tickets').createIndex({ number: 1 }, { name: 'byNumber' }, undefined);
    const second = new MongoStore({ url: server.url, dbName: 'seen' });
    second.collection(tickets);
    await second.prepare();
    await second.close();
    const indexes = await beside.collection('tickets').indexes();
    expect(indexes.find(({ name }) => name === 'byNumber')).not.toHaveProperty('unique');
    const index = indexes.find(({ name }) => name?.startsWith('byNumber~'));
    expect(index).toMatchObject({ unique: true, partialFilterExpression: { number: { $exists: true } } });
    const rows = store.collection(tickets);
    await rows.insert({ _id: 'first', expires_at: 9_999_999_999_999, number: 'same' });
    const again = rows.insert({ _id: 'again', expires_at: 9_999_999_999_999, number: 'same' });
    await expect(again).rejects.toMatchObject({ index: 'byNumber' });
    await rows.remove('first');
  });

  it('counts no index that an operator created as a former one of ours', async () => {
    const indexed = beside.collection('indexed');
    const present = { $exists: true };
    const created_at = { created_at: present };
    await indexed.createIndexes([
      { name: 'former', key: { a: 1, _id: 1 }, partialFilterExpression: { a: present } },
      { name: 'former_unique', key: { a: 1, b: 1 }, unique: true, partialFilterExpression: { a: present, b: present } },
      { name: 'recent', key: { created_at: 1 }, partialFilterExpression: { created_at: { $gt: new Date(0) } } },
      { name: 'recent_id', key: { created_at: 1, _id: 1 }, partialFilterExpression: { created_at: { $gt: 1 } } },
      { name: 'no_id', key: { created_at: 1 }, partialFilterExpression: created_at },
      { name: 'down', key: { created_at: -1, _id: 1 }, partialFilterExpression: created_at },
      { name: 'created_at_1__id_1', key: { created_at: 1, _id: 1 }, partialFilterExpression: created_at },
      { name: 'byNumber', key: { number: 1 } },
      { name: 'gone', key: { created_at: 1 }, expireAfterSeconds: 60 },
    ]);
    const definition = { ...tickets, name: 'indexed', indexes: { byNumber: { fields: ['number'] } } } as const;
    const model = beside.model('indexed', schemaOf(new RowShape<TicketDoc>(definition)), 'indexed') as unknown;
    expect((await formerIndexes([model as Model<BsonRow>])).sort()).toEqual(['former', 'former_unique']);
  });

  describe('where somebody planted rows that hold what no row of ours does', () => {
    const planted = ['a', 'b', 'c'].flatMap((letter, at) => [
      { _id: `null-${letter}`, rev: 1, flag: false, level: null },
      { _id: `nan-${letter}`, rev: 1, flag: false, level: at === 0 ? NaN : Infinity },
      { _id: `text-${letter}`, rev: 1, flag: false, level: '1' },
      { _id: `long-${letter}`, rev: 1, flag: false, level: mongo.Long.fromString('9223372036854775807') },
      { _id: `decimal-${letter}`, rev: 1, flag: false, level: mongo.Decimal128.fromString('1') },
      { _id: new mongo.ObjectId(), rev: 1, flag: false, level: 1 },
    ]);
    const levels = defineCollection<Doc & { readonly flag: boolean; readonly level: number }>({
      name: 'levels',
      fields: { flag: plain.boolean, level: plain.number },
      indexes: { due: { fields: ['flag', 'level'] } },
      tampered: 'refuse',
    });

    it.each(['due', '_id'])('lists and counts by %s to the end, whatever the page', async (index) => {
      const rows = store.collection(levels);
      await store.prepare();
      const raw = beside.collection<{ _id: unknown }>('levels');
      await raw.deleteMany({});
      await raw.insertMany(planted);
      await rows.insert({ _id: 'ours', flag: false, level: 7 });
      const listed: string[] = [];
      for (let after: string | undefined; ;) {
        const prefix = index === 'due' ? [false] : [];
        const page = await rows.list(index, prefix, { limit: 1, ...(after !== undefined && { after }) });
        listed.push(...page.items.map(({ _id }) => _id));
        if (page.next === undefined) break;
        after = page.next;
      }
      expect(listed).toContain('ours');
      expect(listed.filter((id) => typeof id !== 'string')).toEqual([]);
      if (index === 'due') expect(listed).toEqual(['ours', 'long-a', 'long-b', 'long-c']);
      else expect(listed).toHaveLength(16);
    });
  });

  it('counts in parts, each of them with the deadline of an operation', async () => {
    const rows = store.collection(tickets);
    const many = Array.from({ length: 10_005 }, (_, n) => ({
      _id: `n${n}`,
      rev: 1,
      number: `${n}`,
      expires_at: new Date(9_999_999_999_999),
    }));
    await beside.collection<{ _id: string }>('tickets').deleteMany({});
    await beside.collection<{ _id: string }>('tickets').insertMany(many);
    expect(await rows.count('byTime', [])).toBe(10_005);
    expect(await rows.count('byTime', [], 10_001)).toBe(10_001);
    expect(await rows.count('byTime', [], 1)).toBe(1);
  });

  describe('of an installation that was upgraded', () => {
    const INSTALLED = { _id: 'installation', rev: 1, schema: SCHEMA, lowest_schema: SCHEMA };
    let old: MongoStore;

    beforeEach(async () => {
      await beside
        .collection<{ _id: string; lowest_schema: number }>('installation')
        .insertOne({ ...INSTALLED, lowest_schema: SCHEMA - 1 });
      old = new MongoStore({ url: server.url, dbName: 'seen' }, SCHEMA - 1);
    });
    afterEach(async () => {
      await old.close();
      await beside.collection('installation').deleteMany({});
    });

    it('a process that was started before the document moved on takes no writes', async () => {
      const rows = old.collection(tickets);
      const before = await rows.insert({ _id: 'before', expires_at: 9_999_999_999_999 });
      const documents = beside.collection<{ _id: string; lowest_schema: number }>('installation');
      await documents.replaceOne({ _id: 'installation' }, INSTALLED);
      // The fence caches a result for two seconds.
      await waitFor('the first refusal', async () => (await writes(rows.replace(before))) === 'store_unavailable');
      expect(await writes(rows.insert({ _id: 'after', expires_at: 9_999_999_999_999 }))).toBe('store_unavailable');
      expect(await writes(rows.remove('before'))).toBe('store_unavailable');
      await expect(old.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
      expect(await rows.find('_id', 'before')).toBeDefined();
      expect(await rows.find('_id', 'after')).toBeUndefined();
      await store.collection(tickets).insert({ _id: 'new', expires_at: 9_999_999_999_999 });
    });
  });

  it.each(['x', '[]', '[1]', '["a","b"]', '{}', '[{"$gt":""}]', '[{"long":"1"}]', '[null]', ''])(
    'answers invalid_cursor for %j, which is no position of the index',
    async (after) => {
      const page = store.collection(tickets).list('byNumber', [], { limit: 1, after });
      await expect(page).rejects.toMatchObject({ code: 'invalid_cursor' });
    },
  );
});
