import { createConnection, Connection } from 'mongoose';
import { describeWithPart, type Secantus, startSecantus } from '../../../test/support/parts';
import { defineCollection, Doc } from '../definition';
import { MongoStore } from './mongo-store';

interface TicketDoc extends Doc {
  readonly expires_at: number;
  readonly number?: string;
  readonly notes?: object;
}

const tickets = defineCollection<TicketDoc>({
  name: 'tickets',
  fields: { expires_at: 'time', number: 'string', notes: 'json' },
  clear: ['expires_at', 'number', 'notes'],
  indexes: { byNumber: { fields: ['number'], unique: true }, byTime: { fields: ['expires_at', 'number'] } },
  expiry: 'expires_at',
  forged: 'refuse',
});

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

  it('makes the indexes anew that have the name of one but are others', async () => {
    await beside.collection('tickets').dropIndex('byNumber');
    await beside.collection('tickets').createIndex({ number: 1 }, { name: 'byNumber' }, undefined);
    const second = new MongoStore({ url: server.url, dbName: 'seen' });
    second.collection(tickets);
    await second.prepare();
    await second.close();
    const index = (await beside.collection('tickets').indexes()).find(({ name }) => name === 'byNumber');
    expect(index).toMatchObject({ unique: true, partialFilterExpression: { number: { $exists: true } } });
  });

  it.each(['x', '[]', '[1]', '["a","b"]', '{}', '[{"$gt":""}]', '[null]', ''])(
    'answers invalid_cursor for %j, which is no position of the index',
    async (after) => {
      const page = store.collection(tickets).list('byNumber', [], { limit: 1, after });
      await expect(page).rejects.toMatchObject({ code: 'invalid_cursor' });
    },
  );
});
