import { mongo } from 'mongoose';
import type { Collection } from '../../src/store';
import { MongoStore } from '../../src/store/mongo';
import { thingDefinition, type ThingDoc } from '../contract/collection/things';
import { failOver, type MongoProxy, notWritablePrimary, setUrl, startMongoProxy } from '../support/mongo-proxy';
import type { Command } from '../support/mongo-wire';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const definition = thingDefinition('things');
const unavailable = { code: 'store_unavailable' };

/**
 * What a member does to a write in a failover, and the write is repeated by the driver under the
 * same number.
 */
const ONCE = [
  ['is refused by a primary that steps down', notWritablePrimary()],
  ['is lost before the server has it', 'cut-before'],
  ['is done and its answer is lost', 'cut-after'],
] as const;

const ids = (docs: readonly { readonly _id: string }[]): string[] => docs.map(({ _id }) => _id);

/** The answer of a server whose snapshot does not have this row yet. */
const without =
  (id: string) =>
  (reply: Command): Command => {
    const cursor = reply['cursor'] as { firstBatch: { _id: string }[] } | undefined;
    if (cursor === undefined) return reply;
    const firstBatch = cursor.firstBatch.filter(({ _id }) => _id !== id);
    return { ...reply, cursor: { ...cursor, id: mongo.Long.ZERO, firstBatch } };
  };

describeWithPart('secantus', 'Writes in a failover of MongoDB', () => {
  let server: Secantus;
  let proxy: MongoProxy;
  let store: MongoStore;
  let things: Collection<ThingDoc>;
  let beside: Collection<ThingDoc>;
  let besideStore: MongoStore;

  beforeAll(async () => {
    server = await startSecantus();
    besideStore = new MongoStore({ url: server.url, dbName: 'failover' });
    beside = besideStore.collection(definition);
    await besideStore.prepare();
  });
  afterAll(async () => {
    await besideStore.close();
    await server.stop();
  });
  beforeEach(async () => {
    proxy = await startMongoProxy(server.port);
    store = new MongoStore({ url: proxy.url, dbName: 'failover' });
    things = store.collection(definition);
    await store.ping();
  });
  afterEach(async () => {
    await store.close();
    await proxy.close();
  });

  let made = 0;
  const add = (fields: Partial<ThingDoc> = {}): Promise<ThingDoc> =>
    beside.insert({ _id: `thing-${(made += 1)}`, owner: 'ada', ...fields });

  describe.each(ONCE)('one that %s', (_what, act) => {
    it('is one insert', async () => {
      proxy.faults.push({ command: 'insert', act, times: 1 });
      const draft = { _id: `new-${(made += 1)}`, owner: 'ada', email: `${made}@example.com` };
      expect(await things.insert(draft)).toEqual({ ...draft, rev: 1 });
      expect(await beside.find('_id', draft._id)).toEqual({ ...draft, rev: 1 });
    });

    it('is one replace, which held', async () => {
      const first = await add();
      proxy.faults.push({ command: 'update', act, times: 1 });
      expect(await things.replace({ ...first, size: 1 })).toEqual({ ...first, size: 1, rev: 2 });
      expect(await beside.find('_id', first._id)).toEqual({ ...first, size: 1, rev: 2 });
    });

    it('is a bulk of which each one that held is counted once', async () => {
      const docs = await Promise.all(Array.from({ length: 7 }, () => add()));
      await beside.replace(docs[2]!);
      proxy.faults.push({ command: 'update', act, times: 1 });
      expect(await things.replaceMany(docs.map((doc) => ({ ...doc, size: 1 })))).toBe(6);
      const found = await Promise.all(docs.map(({ _id }) => beside.find('_id', _id)));
      expect(found.map((doc) => doc?.rev)).toEqual([2, 2, 2, 2, 2, 2, 2]);
    });

    it('is one removal, which held', async () => {
      const { _id } = await add();
      proxy.faults.push({ command: 'delete', act, times: 1 });
      expect(await things.remove(_id, 1)).toBe(true);
      expect(await beside.find('_id', _id)).toBeUndefined();
    });
  });

  it('is store_unavailable, and never somebody else’s key, where the answer is lost again and again', async () => {
    proxy.faults.push({ command: 'insert', act: 'cut-after', times: 9 });
    await expect(things.insert({ _id: 'lost', owner: 'ada' })).rejects.toMatchObject(unavailable);
    expect(await beside.find('_id', 'lost')).toMatchObject({ rev: 1 });
  });

  it('is store_unavailable for each kind of write whose answer never comes', async () => {
    const [kept, gone, many] = [await add(), await add(), await add()];
    for (const command of ['insert', 'update', 'delete']) proxy.faults.push({ command, act: 'hold', times: 9 });
    const writes = [
      things.insert({ _id: 'held', owner: 'ada' }),
      things.replace(kept),
      things.remove(gone._id),
      things.replaceMany([many]),
    ];
    for (const result of await Promise.allSettled(writes)) {
      expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
    }
  });

  it('is served by the new primary of a set, which the client finds by itself', async () => {
    const other = await startMongoProxy(server.port);
    const members = [proxy, other];
    for (const member of members) member.members = members;
    failOver(members, proxy);
    const set = new MongoStore({ url: setUrl(members), dbName: 'failover' });
    try {
      const rows = set.collection(definition);
      const first = await rows.insert({ _id: 'across', owner: 'ada' });
      failOver(members, other);
      const second = await rows.replace({ ...first, size: 1 });
      expect(second).toMatchObject({ rev: 2 });
      expect(other.commands.map((command) => Object.keys(command)[0])).toContain('update');
      failOver(members, proxy);
      expect(await rows.remove('across', 2)).toBe(true);
    } finally {
      await set.close();
      await other.close();
    }
  });

  describe('a new primary whose majority lags behind what was acknowledged', () => {
    let next: MongoProxy;
    let set: MongoStore;
    let rows: Collection<ThingDoc>;
    let acknowledgedAt: mongo.Timestamp;

    beforeEach(async () => {
      next = await startMongoProxy(server.port);
      const members = [proxy, next];
      for (const member of members) member.members = members;
      failOver(members, proxy);
      set = new MongoStore({ url: setUrl(members), dbName: 'failover' });
      rows = set.collection(definition);
      await set.prepare();
      const noted = (reply: Command): Command => {
        acknowledgedAt = reply['operationTime'] as mongo.Timestamp;
        return reply;
      };
      proxy.faults.push({ command: 'insert', act: noted, times: 1 });
      await rows.insert({ _id: 'acknowledged', owner: 'lag' });
      const lags = ({ readConcern }: Command): boolean => {
        const { afterClusterTime } = readConcern as { afterClusterTime?: mongo.Timestamp };
        return afterClusterTime === undefined || afterClusterTime.lessThan(acknowledgedAt);
      };
      next.faults.push({ command: 'find', only: lags, act: without('acknowledged'), times: Infinity });
    });
    afterEach(async () => {
      await rows.remove('acknowledged');
      await set.close();
      await next.close();
    });

    /** A failover between this answer and the next command. */
    const failOverBehind = (command: string, only: (command: Command) => boolean): void => {
      const bytes = (reply: Buffer): Buffer => {
        setImmediate(() => failOver(proxy.members, next));
        return reply;
      };
      proxy.faults.push({ command, only, act: { bytes }, times: 1 });
    };
    const isLinearizable = ({ readConcern }: Command): boolean =>
      (readConcern as { level?: unknown }).level === 'linearizable';

    it('shows a walk that decides every row, wherever the failover comes', async () => {
      expect(ids((await rows.scan('_id', [], { limit: 1_000 })).items)).toContain('acknowledged');
      failOverBehind('find', isLinearizable);
      expect(ids((await rows.scan('_id', [], { limit: 1_000 })).items)).toContain('acknowledged');
      expect(proxy.role).toBe('secondary');
      expect(ids((await rows.scan('byOwner', ['lag'], { limit: 1_000 })).items)).toContain('acknowledged');
      // What a walk by pages of a list would miss.
      expect(ids((await rows.list('_id', [], { limit: 1_000 })).items)).not.toContain('acknowledged');
    });

    it('answers a walk whose first read a primary refused that steps down, and said its time with it', async () => {
      const isRepeated = (command: Command): boolean =>
        isLinearizable(command) && 'afterClusterTime' in (command['readConcern'] as object);
      const invalid = {
        ok: 0,
        code: 72,
        errmsg: 'afterClusterTime field can be set only if level is equal to majority',
      };
      const refusal = { ...notWritablePrimary(), operationTime: acknowledgedAt };
      proxy.faults.push({ command: 'find', only: isRepeated, act: invalid, times: Infinity });
      proxy.faults.push({ command: 'find', only: isLinearizable, act: refusal, times: 1 });
      expect(ids((await rows.scan('byOwner', ['lag'], { limit: 9 })).items)).toEqual(['acknowledged']);
    });

    it('makes a walk fail where the server does not say how far it has come', async () => {
      const silent = ({ operationTime: _, ...reply }: Command): Command => without('')(reply);
      proxy.faults.push({ command: 'find', only: isLinearizable, act: silent, times: Infinity });
      await expect(rows.scan('_id', [], { limit: 1 })).rejects.toMatchObject(unavailable);
    });
  });

  it('is store_unavailable while a set has no primary', async () => {
    proxy.role = 'secondary';
    const set = new MongoStore({ url: setUrl([proxy]), dbName: 'failover' });
    try {
      await expect(set.collection(definition).insert({ _id: 'nowhere', owner: 'ada' })).rejects.toMatchObject(
        unavailable,
      );
    } finally {
      await set.close();
    }
  });
});
