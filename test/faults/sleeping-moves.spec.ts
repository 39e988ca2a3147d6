import { Logger } from '@nestjs/common';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JobRunner } from '../../src/jobs';
import { type JobDoc, jobsCollection } from '../../src/jobs/jobs.collection';
import { AuditSink, newId, SystemClock } from '../../src/kernel';
import { BackendMoves, type Rotation, ROTATION_JOB, WrapRelocationJob, WrapRelocations } from '../../src/keys/rotation';
import type { RoutedWrapStore } from '../../src/keys/user-keys/wrap-store';
import {
  createInstallation,
  type InstallationDoc,
  readInstallation,
  readPlacement,
  WRAPS,
} from '../../src/installation';
import { type Store, update } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { FaultyStore } from '../support/faulty-store';
import { type KeyFixture, openKeyFixture } from '../support/key-fixture';
import { type KeyFixtures, openKeyFixtures, temporaryFolder } from '../support/keys';
import { openRoutedWrapStore, openWrapStore } from '../support/kv';
import { MemoryWrapStore } from '../support/memory-wrap-store';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { MovingInstallation } from '../support/moving-installation';
import { isStopped, waitFor } from '../support/processes';
import { sleepBefore, type Write } from '../support/write-faults';
import { complete } from '../support/installation';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

beforeAll(() => void Logger.overrideLogger(false));

/** What a process that sleeps is about to write to the installation document. */
const installation =
  (matches: (doc: InstallationDoc) => boolean) =>
  ({ target, method, content }: Write): boolean =>
    target === 'installation' && method === 'replace' && matches(content as InstallationDoc);

/**
 * Makes its lease look as it does after a sleep of a minute, so that another process takes the job
 * over.
 */
async function lapse(store: Store): Promise<void> {
  const jobs = store.collection(jobsCollection);
  const { items } = await jobs.list('state', ['running'], { limit: 10 });
  for (const { _id } of items) await update(jobs, _id, (job: JobDoc) => ({ ...job, lease_owner: '', lease_until: 0 }));
}

async function jobEnded(jobs: JobRunner, id: string): Promise<void> {
  await waitFor('the job to end', async () => {
    await jobs.poll();
    const state = (await jobs.find(id))?.state;
    return state === 'done' || state === 'failed';
  });
}

/** Until that runner has found that the job is not its own. */
const letGo = (jobs: JobRunner, id: string): Promise<unknown> => jobs.until(id, () => false, 8_000);

const PINS = { store: 'embedded', masterKey: 'local', userKeys: 'store', blobs: 'filesystem' };

describe('A process that moves the master key and sleeps before it writes the installation document', () => {
  let folder: string;
  let sleeper: KeyFixture;
  let other: KeyFixture;
  let faulty: FaultyStore;
  const begin = ({ jobs, masterKey, row, store }: KeyFixture, to: 'kv' | 'local'): Promise<Rotation | undefined> =>
    new BackendMoves(jobs, masterKey, row, store).begin(to, 'operator');

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-sleeping-'));
    const engine = new EmbeddedStore(folder, new SystemClock());
    const kv = new MemoryWrapStore();
    faulty = new FaultyStore(engine);
    sleeper = await openKeyFixture(folder, { engine: faulty, otherHomes: [kv] });
    await createInstallation(sleeper.store, PINS, new SystemClock());
    await complete(sleeper.store, PINS);
    other = await openKeyFixture(folder, { engine, otherHomes: [kv] });
  });
  afterEach(async () => {
    await sleeper.close();
    await other.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });

  const pinned = async (): Promise<unknown> => {
    const { master_key, master_key_moving } = (await readInstallation(other.store))!;
    return { master_key, master_key_moving };
  };
  /** Begins a move to kv that falls asleep before that write. */
  const asleep = async (matches: (doc: InstallationDoc) => boolean) => {
    const pause = sleepBefore(installation(matches));
    faulty.faults.choose = pause.choice;
    const { id } = (await begin(sleeper, 'kv'))!;
    await pause.reached;
    const wake = async (): Promise<void> => {
      pause.release();
      await letGo(sleeper.jobs, id);
    };
    return { id, wake };
  };
  const moved = async (to: 'kv' | 'local'): Promise<void> => {
    const begun = await begin(other, to);
    if (begun !== undefined) await jobEnded(other.jobs, begun.id);
  };

  it('that names the new home leaves it alone after the key was moved there and back by others', async () => {
    const { id, wake } = await asleep(({ master_key }) => master_key === 'kv');
    await lapse(other.store);
    await jobEnded(other.jobs, id);
    await moved('local');
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: undefined });
    await wake();
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: undefined });
  });

  it('that admits the new home leaves it alone after the move was taken back', async () => {
    const { wake } = await asleep(({ master_key_moving }) => master_key_moving !== undefined);
    await moved('local');
    expect(await other.jobs.active(ROTATION_JOB)).toBeUndefined();
    await wake();
    expect(await pinned()).toEqual({ master_key: 'local', master_key_moving: undefined });
  });
});

describeWithPart(
  'openbao',
  'A process that moves user keys and sleeps before it writes the installation document',
  () => {
    let bao: Bao;
    let folder: Awaited<ReturnType<typeof temporaryFolder>>;
    let fixtures: KeyFixtures;
    let homes: RoutedWrapStore;
    let faulty: FaultyStore;
    const runners: JobRunner[] = [];

    beforeAll(async () => {
      bao = await startOpenBao();
    });
    beforeEach(async () => {
      folder = await temporaryFolder();
      const vault = await openWrapStore(bao);
      fixtures = await openKeyFixtures(folder.path, {
        home: async (store, masterKey) => (homes = await openRoutedWrapStore(store, masterKey, vault, 'store')),
      });
      const alice = newId();
      await fixtures.userKeys.create(alice, alice);
      faulty = new FaultyStore(fixtures.store);
    });
    afterEach(async () => {
      for (const runner of runners.splice(0)) await runner.beforeApplicationShutdown();
      await fixtures.close();
      await folder.remove();
    });
    afterAll(() => bao.stop());

    const audit = { note: () => undefined } as unknown as AuditSink;
    const mover = (store: Store): { jobs: JobRunner; moves: WrapRelocations } => {
      const jobs = new JobRunner(store, new SystemClock());
      runners.push(jobs);
      new WrapRelocationJob(jobs, homes, store, audit).onModuleInit();
      return { jobs, moves: new WrapRelocations(jobs, homes, store) };
    };

    it('begins nothing after the move was turned round', async () => {
      const pause = sleepBefore(installation(({ user_keys_to }) => user_keys_to === 'vault'));
      faulty.faults.choose = pause.choice;
      const [sleeper, other] = [mover(faulty), mover(fixtures.store)];
      const first = (await sleeper.moves.begin('vault', 'operator'))!;
      await pause.reached;
      const { id } = (await other.moves.begin('store', 'operator'))!;
      await jobEnded(other.jobs, id);
      pause.release();
      await letGo(sleeper.jobs, first.id);
      expect(await readPlacement(fixtures.store, WRAPS)).toEqual({ current: 'store' });
    });
  },
);

describeWithPart('openbao', 'A command that moves the master key and is stopped', () => {
  it('and continued after others moved the key there and back, leaves an installation that starts', async () => {
    const bao = await startOpenBao();
    const vault = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    const installation = await MovingInstallation.start({
      ...vault,
      MASTER_KEY: 'local',
      COFFER_ROOT_KEY: 'r'.repeat(40),
    });
    try {
      // The third write to the document is the one that names the new home alone.
      const stopped = installation.startMigrate('local', 'kv', { COFFER_FAILPOINT: 'installation.asked:3:stop' });
      await waitFor('the command to sleep', () => isStopped(stopped.pid), 60_000).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${stopped.output()}`);
      });
      // Its lease ends first.
      expect(await installation.migrate('kv', 'kv')).toMatchObject({ code: 0 });
      expect(await installation.migrate('kv', 'local')).toMatchObject({ code: 0 });
      stopped.resume();
      await stopped.exited;
      await installation.quiesce();
      await installation.service.restart({ MASTER_KEY: 'local' });
      await installation.readAll();
      expect(installation.faults).toEqual([]);
    } finally {
      await installation.close();
      await bao.stop();
    }
  }, 180_000);
});
