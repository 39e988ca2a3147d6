import { GridFsBlobStore } from '../../src/blobs/gridfs';
import { plaintext } from '../../src/kernel';
import { MongoStore } from '../../src/store/mongo';
import { thingDefinition } from '../contract/collection/things';
import { openKeyFixture } from '../support/key-fixture';
import { temporaryFolder } from '../support/keys';
import { sampleBytes } from '../support/messages';
import { type MongoProxy, setUrl, startMongoProxy } from '../support/mongo-proxy';
import type { Command } from '../support/mongo-wire';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const MIB = 1024 * 1024;
const DURABLE = { w: 'majority', j: true, wtimeout: 1_500 };
const WRITES = ['insert', 'update', 'delete', 'createIndexes', 'dropIndexes'];
const READS = ['find', 'aggregate', 'count', 'distinct'];
const nameOf = (command: Command): string => Object.keys(command)[0] ?? '';

/**
 * What the arguments for durability and for the wrap protocol rest on is looked at where it counts:
 * in what the server is sent.
 */
describeWithPart('secantus', 'What MongoDB is asked', () => {
  let server: Secantus;
  let proxy: MongoProxy;
  let store: MongoStore;

  beforeAll(async () => {
    server = await startSecantus();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    proxy = await startMongoProxy(server.port);
    store = new MongoStore({ url: setUrl([proxy]), dbName: 'commands' });
  });
  afterEach(async () => {
    await store.close();
    await proxy.close();
  });

  const sent = (names: readonly string[]): Command[] =>
    proxy.commands.filter((command) => names.includes(nameOf(command)));

  /** Each write durable on a majority; each read from a primary, of what a majority has. */
  function expectGuarantees(): void {
    for (const write of sent(WRITES)) expect(write).toMatchObject({ writeConcern: DURABLE });
    for (const read of sent(READS)) {
      expect(['majority', 'linearizable']).toContain((read['readConcern'] as { level: unknown }).level);
    }
    for (const command of sent([...WRITES, ...READS])) {
      expect(command['$readPreference'] ?? { mode: 'primary' }).toEqual({ mode: 'primary' });
    }
  }

  it('is durable in each write of the port, repeatable by the driver, and read by a majority', async () => {
    const things = store.collection(thingDefinition());
    await store.prepare();
    const first = await things.insert({ _id: 'one', owner: 'ada', email: 'a' });
    const second = (await things.replace({ ...first, size: 1 }))!;
    await things.replaceMany([second]);
    await things.find('byEmail', 'a');
    await things.list('byOwner', ['ada'], { limit: 1 });
    await things.count('byOwner', ['ada']);
    await things.remove('one');
    const names = proxy.commands.map(nameOf);
    expect(names).toEqual(expect.arrayContaining(['createIndexes', 'insert', 'update', 'delete', 'find', 'aggregate']));
    expectGuarantees();
    for (const write of sent(['insert', 'update', 'delete'])) expect(write).toHaveProperty('txnNumber');
  });

  it('is an index on a majority of the set before it counts as built', async () => {
    store.collection(thingDefinition());
    await store.prepare();
    await new GridFsBlobStore(store.connection).open('an installation');
    const builds = sent(['createIndexes']);
    expect(builds.length).toBeGreaterThan(7);
    for (const build of builds) expect(build).toMatchObject({ commitQuorum: 'majority' });
  });

  it.each([
    [9, "Unrecognized field 'commitQuorum'"],
    [72, 'commitQuorum is not a valid option'],
    [40415, "BSON field 'createIndexes.commitQuorum' is an unknown field."],
  ])('is the index without that option where the server says that it does not know it (%i)', async (code, errmsg) => {
    const only = (command: Command): boolean => 'commitQuorum' in command;
    proxy.faults.push({ command: 'createIndexes', only, act: { ok: 0, code, errmsg }, times: Infinity });
    const things = store.collection(thingDefinition());
    await store.prepare();
    await things.insert({ _id: 'one', owner: 'ada', email: 'a' });
    await expect(things.insert({ _id: 'two', owner: 'ada', email: 'a' })).rejects.toMatchObject({ index: 'byEmail' });
  });

  it('is no index at all where the server refuses for another reason', async () => {
    const refusal = { ok: 0, code: 9, errmsg: 'bad index key pattern' };
    proxy.faults.push({ command: 'createIndexes', act: refusal, times: 1 });
    store.collection(thingDefinition());
    await expect(store.prepare()).rejects.toMatchObject({ code: 9 });
  });

  it('is durable in each write of a blob', async () => {
    const blobs = new GridFsBlobStore(store.connection);
    const content = sampleBytes(4 * MIB);
    await blobs.open('an installation');
    await blobs.put('kept', pieces(content));
    for await (const _ of await blobs.get('kept'));
    for await (const _ of blobs.list());
    await blobs.sweep(-MIB);
    await blobs.discard('kept');
    await blobs.remove('kept');
    expect(proxy.commands.map(nameOf)).toEqual(expect.arrayContaining(['insert', 'find', 'aggregate', 'delete']));
    expectGuarantees();
  });

  it('is a linearizable read by id alone, with an end, where the port is asked for one', async () => {
    const things = store.collection(thingDefinition());
    await things.insert({ _id: 'one', owner: 'ada' });
    await things.findLinearizable('one');
    const [read, ...others] = sent(['find']).filter(({ find }) => find === things.definition.name);
    expect(others).toEqual([]);
    expect(read).toMatchObject({
      filter: { _id: { $eq: 'one' } },
      limit: 1,
      singleBatch: true,
      readConcern: { level: 'linearizable' },
      maxTimeMS: 1_500,
    });
    expect(read).not.toHaveProperty('sort');
  });

  it('is behind a linearizable read of its own for each page that a retire decides on', async () => {
    const folder = await temporaryFolder();
    const engine = new MongoStore({ url: setUrl([proxy]), dbName: 'retired' });
    const fixture = await openKeyFixture(folder.path, { engine });
    try {
      for (let n = 0; n < 3; n += 1) await fixture.userKeys.create(`owner-${n}`, `owner-${n}`);
      await fixture.rotations.rotateMasterKey('admin');
      const seen = proxy.commands.length;
      await fixture.retirement.retire(1);
      const reads = proxy.commands.slice(seen).filter((command) => nameOf(command) === 'find');
      const pages = reads.filter(({ find, filter }) => {
        const byId = (filter as { _id?: object })._id ?? {};
        return (
          ['user_keys', 'system_keys'].includes(String(find)) &&
          !('$eq' in byId) &&
          Object.keys(filter as object).length === 1
        );
      });
      expect(pages.map(({ find }) => find)).toEqual(['system_keys', 'user_keys']);
      for (const [at, page] of pages.entries()) {
        const { level, afterClusterTime } = page['readConcern'] as { level: string; afterClusterTime?: unknown };
        expect([level, typeof afterClusterTime]).toEqual(['majority', 'object']);
        const before = reads.slice(0, reads.indexOf(page)).filter(({ find }) => find === 'installation');
        const linearizable = before.filter(
          (read) => (read['readConcern'] as { level: string }).level === 'linearizable',
        );
        expect(linearizable).toHaveLength(at + 1);
      }
    } finally {
      await fixture.close();
      await folder.remove();
    }
  });

  it('is linearizable in the reads that the wrap protocol decides on', async () => {
    const folder = await temporaryFolder();
    const fixture = await openKeyFixture(folder.path, { engine: store });
    const last = (): Command =>
      sent(['find'])
        .filter(({ readConcern }) => (readConcern as { level: string }).level === 'linearizable')
        .at(-1)!;
    try {
      await fixture.userKeys.create('alice', 'alice');
      expect(last()).toMatchObject({ find: 'master_key', filter: { _id: { $eq: 'master' } } });
      const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
      const seen = proxy.commands.length;
      await fixture.sealer.insert('alice', {
        pending: (keys) => Promise.resolve(keys.seal('records', place, plaintext(Buffer.from('4111')))),
        again: (row) => Promise.resolve(row),
        activate: (row) => Promise.resolve(row),
      });
      expect(last()).toMatchObject({ find: 'user_keys', filter: { _id: { $eq: 'alice' } } });
      expect(proxy.commands.slice(seen)).toContain(last());
    } finally {
      await fixture.close();
      await folder.remove();
    }
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- a put takes what comes asynchronously
async function* pieces(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += MIB) yield content.subarray(at, at + MIB);
}
