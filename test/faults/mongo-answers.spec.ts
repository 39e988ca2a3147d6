import { GridFsBlobStore } from '../../src/blobs/gridfs';
import { type Collection, AuthenticatedStore } from '../../src/store';
import { MongoStore } from '../../src/store/mongo';
import { eachCall, thingDefinition, type ThingDoc } from '../contract/collection/things';
import { type MongoProxy, startMongoProxy, type WireFault } from '../support/mongo-proxy';
import type { Command } from '../support/mongo-wire';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { FixedSecrets } from '../support/sealed-store';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const unavailable = { code: 'store_unavailable' };
/**
 * Sorts behind U+FFFD, as bytes that are no UTF-8 may; has as many bytes as what takes its place in
 * an answer.
 */
const STAND_IN = '\u{10ffff}';

describeWithPart('secantus', 'What MongoDB answers', () => {
  let server: Secantus;
  let proxy: MongoProxy;
  let store: MongoStore;
  let things: Collection<ThingDoc>;

  beforeAll(async () => {
    server = await startSecantus();
    proxy = await startMongoProxy(server.port);
    store = new MongoStore({ url: proxy.url, dbName: 'answers' });
  });
  afterAll(async () => {
    await store.close();
    await proxy.close();
    await server.stop();
  });
  beforeEach(async () => {
    proxy.faults.length = 0;
    things = store.collection(thingDefinition());
    await store.prepare();
  });

  const answerAll = (act: WireFault['act'], ...commands: string[]): void => {
    for (const command of commands) proxy.faults.push({ command, act, times: Infinity });
  };
  const notDurable = (reply: Command): Command => ({
    ...reply,
    writeConcernError: { code: 64, codeName: 'WriteConcernTimeout', errmsg: 'waiting for replication timed out' },
  });

  it.each([
    [24, 'LockTimeout'],
    [43, 'CursorNotFound'],
    [50, 'MaxTimeMSExpired'],
    [91, 'ShutdownInProgress'],
    [112, 'WriteConflict'],
    [133, 'FailedToSatisfyReadPreference'],
    [175, 'QueryPlanKilled'],
    [189, 'PrimarySteppedDown'],
    [237, 'CursorKilled'],
    [262, 'ExceededTimeLimit'],
    [10107, 'NotWritablePrimary'],
    [11600, 'InterruptedAtShutdown'],
    [11602, 'InterruptedDueToReplStateChange'],
    [13435, 'NotPrimaryNoSecondaryOk'],
    [13436, 'NotPrimaryOrSecondary'],
  ])('is store_unavailable where it is %i, whatever was asked', async (code, codeName) => {
    const doc = await things.insert({ _id: '1', owner: 'ada' });
    answerAll({ ok: 0, code, codeName, errmsg: 'not now' }, 'find', 'aggregate', 'insert', 'update', 'delete');
    for (const result of await Promise.allSettled(eachCall(things, doc))) {
      expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
    }
  });

  it('is store_unavailable by its label, where the number is a new one', async () => {
    const act = { ok: 0, code: 99_999, errmsg: 'overloaded', errorLabels: ['SystemOverloadedError', 'RetryableError'] };
    answerAll(act, 'find');
    await expect(things.find('_id', '1')).rejects.toMatchObject(unavailable);
  });

  it('stays visible where the mistake is ours', async () => {
    answerAll({ ok: 0, code: 9, errmsg: 'bad query' }, 'find');
    await expect(things.find('_id', '1')).rejects.toMatchObject({ code: 9 });
  });

  it('is store_unavailable for each write that is not on a majority in time', async () => {
    const docs = await Promise.all(['1', '2', '3'].map((_id) => things.insert({ _id, owner: 'ada' })));
    answerAll(notDurable, 'insert', 'update', 'delete');
    const writes = [
      things.insert({ _id: '4', owner: 'ada' }),
      things.replace(docs[0]!),
      things.replaceMany([docs[1]!]),
      things.remove('3'),
    ];
    for (const result of await Promise.allSettled(writes)) {
      expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
    }
  });

  it('is store_unavailable for a bulk that is not on a majority, though a unique index refused a part of it', async () => {
    await things.insert({ _id: '1', owner: 'ada', email: 'taken' });
    const [a, b] = [await things.insert({ _id: 'a', owner: 'ada' }), await things.insert({ _id: 'b', owner: 'ada' })];
    answerAll(notDurable, 'update');
    const bulk = things.replaceMany([
      { ...a, size: 1 },
      { ...b, email: 'taken' },
    ]);
    await expect(bulk).rejects.toMatchObject(unavailable);
  });

  describe('with texts in it that are no UTF-8', () => {
    const broken: WireFault['act'] = {
      bytes: (reply) =>
        Buffer.from(reply.toString('latin1').replaceAll(latin1(STAND_IN), '\xff\xff\xff\xff'), 'latin1'),
    };
    const forgeries: string[] = [];
    let sealed: Collection<ThingDoc>;

    beforeEach(() => {
      forgeries.length = 0;
      const hooks = { onForgedRow: (_: string, id: string): void => void forgeries.push(id) };
      sealed = new AuthenticatedStore(store, new FixedSecrets(), hooks).collection(things.definition);
    });

    /** All that a job sees of the owner's rows, in pages of this size. */
    async function walked(limit: number, reverse: boolean): Promise<readonly string[]> {
      const found: string[] = [];
      for (let after: string | undefined, pages = 0; pages < 30; pages += 1) {
        const position = after === undefined ? {} : { after };
        const page = await sealed.list('byOwner', ['ada'], {
          limit,
          reverse,
          onTampered: () => undefined,
          ...position,
        });
        found.push(...page.items.map(({ _id }) => _id));
        if (page.next === undefined) return found;
        after = page.next;
      }
      throw new Error('a list without an end');
    }

    it.each([1, 2, 3, 5, 50])('costs a job these rows and no other one, in pages of %i', async (limit) => {
      const sound = ['a', 'b', 'c', 'x', 'y', '\u{10fffe}'];
      for (const _id of sound) await sealed.insert({ _id, owner: 'ada' });
      for (const _id of ['b1', 'b2', 'z1', 'z2', 'z3']) {
        await things.insert({ _id: `${_id[0]!}${STAND_IN}${_id[1]!}`, owner: 'ada' });
      }
      answerAll(broken, 'find');
      expect(await walked(limit, false)).toEqual(sound);
      expect(new Set(forgeries).size).toBe(5);
      expect(await walked(limit, true)).toEqual(sound.toReversed());
    });

    it('ends where there is nothing else', async () => {
      for (let at = 0; at < 7; at += 1) await things.insert({ _id: `${STAND_IN}${at}`, owner: 'ada' });
      answerAll(broken, 'find');
      expect(await walked(2, false)).toEqual([]);
    });

    it('refuses the row itself as one that nobody sealed', async () => {
      await sealed.insert({ _id: 'one', owner: 'ada', kind: STAND_IN });
      answerAll(broken, 'find');
      await expect(sealed.find('_id', 'one')).rejects.toMatchObject({ code: 'integrity_failed' });
    });

    it('holds up neither the list nor the sweep of blobs', async () => {
      const blobs = new GridFsBlobStore(store.connection);
      await blobs.open('an installation');
      await blobs.put('kept', [Buffer.from('x')] as never);
      const { connection } = store;
      const _id = `a${STAND_IN}`;
      await connection.run(() => connection.documents('blobs.files').insertOne({ _id } as never), '');
      await connection.run(() => connection.documents('blobs.chunks').insertOne({ files_id: _id, n: 0 }), '');
      answerAll(broken, 'find');
      const found: string[] = [];
      for await (const id of blobs.list()) found.push(id);
      expect(found).toEqual(['kept']);
      await blobs.sweep(-60_000);
    });
  });
});

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
