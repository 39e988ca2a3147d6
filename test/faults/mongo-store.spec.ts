import { type Collection } from '../../src/store';
import { MongoStore } from '../../src/store/mongo';
import { eachCall, thingDefinition, type ThingDoc } from '../contract/collection/things';
import { startActor } from '../support/actors';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';
import { type Managed, waitFor } from '../support/processes';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

/** Twice what the port promises: what is told apart here is an answer and none. */
const PATIENCE = 4_000;

const said = (process: Managed, line: string): number => process.output().split(line).length - 1;

async function refusalOf(work: Promise<unknown>): Promise<unknown> {
  const waiting = new Promise((resolve) => setTimeout(resolve, PATIENCE, 'no answer').unref());
  const code = (error: unknown): unknown => (error as { code?: unknown }).code;
  return Promise.race([work.then(() => 'done', code), waiting]);
}

describeWithPart('secantus', 'the MongoDB store under faults', () => {
  let server: Secantus;
  let store: MongoStore;
  let things: Collection<ThingDoc>;

  beforeEach(async () => {
    server = await startSecantus();
    store = new MongoStore({ url: server.url, dbName: 'faults' });
    things = store.collection(thingDefinition('things'));
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  async function expectEachCallRefused(): Promise<void> {
    const doc = { _id: '1', rev: 1, owner: 'ada' };
    const calls = [...eachCall(things, doc), store.ping()];
    for (const refusal of await Promise.all(calls.map(refusalOf))) expect(refusal).toBe('store_unavailable');
  }

  const recovered = (): Promise<unknown> =>
    waitFor('the store to serve again', () => things.find('_id', '1').catch(() => undefined));

  it('answers store_unavailable while the server is frozen, and serves again when it goes on', async () => {
    await store.prepare();
    await things.insert({ _id: '1', owner: 'ada' });
    server.pause();
    await expectEachCallRefused();
    await expectEachCallRefused();
    server.resume();
    await recovered();
    await expect(store.ping()).resolves.toBeUndefined();
  });

  it('answers store_unavailable while the server is dead, and serves what it kept after a restart', async () => {
    await store.prepare();
    await things.insert({ _id: '1', owner: 'ada' });
    await server.kill();
    await expectEachCallRefused();
    await server.restart();
    await recovered();
    expect(await things.insert({ _id: '3', owner: 'ada' })).toMatchObject({ rev: 1 });
  });

  it('can be opened before its server, answers store_unavailable till then, and serves without a restart', async () => {
    await server.kill();
    expect(await refusalOf(store.prepare())).toBe('store_unavailable');
    await expectEachCallRefused();
    await server.restart();
    await waitFor('the store to be prepared', () =>
      store.prepare().then(
        () => true,
        () => false,
      ),
    );
    expect(await things.insert({ _id: '1', owner: 'ada' })).toMatchObject({ rev: 1 });
  });

  it('leaves its process alive through a start without a server, a death and a return', async () => {
    await server.kill();
    const writer = startActor('store-user', 'mongo', server.url, 'write');
    await waitFor('refusals', () => said(writer, 'refused store_unavailable') > 8);
    await server.restart();
    await waitFor('writes', () => said(writer, 'ok ') > 20);
    await server.kill();
    const refused = said(writer, 'refused');
    await waitFor('refusals again', () => said(writer, 'refused') > refused + 8);
    await server.restart();
    const written = said(writer, 'ok ');
    await waitFor('writes again', () => said(writer, 'ok ') > written + 20);
    expect(writer.running()).toBe(true);
    expect(said(writer, 'refused')).toBe(said(writer, 'refused store_unavailable'));
    await writer.kill();
  });

  it('refuses to start with a URL that is none, without repeating it', async () => {
    const wrong = new MongoStore({ url: 'mongodb://user:hunter2@', dbName: 'faults' });
    const refusal = await wrong.ping().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: 'StartupError' });
    expect((refusal as Error).message).not.toContain('hunter2');
    await wrong.close();
  });

  it('answers store_unavailable once it has been closed', async () => {
    await store.prepare();
    await store.close();
    await expectEachCallRefused();
  });
});
