import { setTimeout as sleep } from 'node:timers/promises';
import { drawn } from '../support/drawn';
import { kvConfig } from '../support/kv';
import { throughOutages } from '../support/outages';
import { describeWithParts, isLong, startOpenBao, startSecantus } from '../support/parts';
import { waitFor } from '../support/processes';
import { RotationInstallation } from '../support/rotation-installation';
import { Seeded } from '../support/seeded';
import { type Site } from '../support/site';
import { transitConfig } from '../support/transit';

/**
 * Random kills are in the long form alone where there are none here. The short form: a batch and a
 * rest, so that a death between two of them is possible.
 */
const USUAL: Size = isLong() ? { owners: 5_000, randomKills: 50 } : { owners: 350, randomKills: 4 };
/**
 * The server that stands in for MongoDB takes a tenth of the embedded store's writes a second. More
 * owners than a batch has rows.
 */
const SLOW: Size = isLong() ? { owners: 1_000, randomKills: 50 } : { owners: 220, randomKills: 1 };
/** Each key is a document in Vault: three requests for each in a rotation. */
const DOCUMENTS: Size = isLong() ? { owners: 1_000, randomKills: 50 } : { owners: 40, randomKills: 0 };
/**
 * The moment of a death, after a process has opened the store: about as long as a rotation takes.
 */
const SPAN_MS = isLong() ? 2_500 : 500;

const FAILPOINTS = [
  'rotation.intent-written',
  'rotation.key-rotated',
  'rotation.target-pinned',
  'rotation.row-advanced',
  'system-keys.rewrapped',
  'rotation.system-keys',
  'rotation.user-keys-rewrapped',
  'rotation.user-keys-written',
  'rotation.mid-batch',
  'rotation.mid-batch:2',
  'rotation.before-done',
];

interface Size {
  readonly owners: number;
  readonly randomKills: number;
}

interface Place {
  readonly site: Omit<Site, 'folder'>;
  close(): Promise<void>;
}

function killSuite(open: () => Promise<Place>, points: readonly string[], { owners, randomKills } = USUAL): void {
  let place: Place;
  let installation: RotationInstallation;
  let made: RotationInstallation | undefined;

  beforeAll(async () => {
    place = await open();
    made = installation = await RotationInstallation.make(place.site, owners);
    installation.start();
  }, 300_000);
  afterAll(async () => {
    await made?.close();
    await place.close();
  }, 60_000);

  async function expectAftermath(): Promise<void> {
    expect(installation.ledger.faults).toEqual([]);
    const [used, existing] = [await installation.versionsInUse(), await installation.existingVersions()];
    expect([...used].filter((version) => !existing.has(version))).toEqual([]);
    expect(existing).toContain((await installation.row()).current);
  }

  /** Runs a process to its end, which takes up what is there. */
  async function expectFinished(): Promise<void> {
    const last = installation.process('-');
    expect(`${await last.exited} ${last.output().slice(-1000)}`).toMatch(/^0 /);
    await installation.quiet();
    await installation.settle(last);
    const rotation = (await installation.latest())!;
    expect(rotation).toMatchObject({ state: 'done', done: rotation.total, failed: 0 });
    expect(rotation.total).toBeGreaterThanOrEqual(owners);
    expect(await installation.versionsInUse()).toEqual(new Set([rotation.targetVersion]));
    await expectAftermath();
  }

  /** Ends what the rotation led away from: nothing uses it, and nothing is lost with it. */
  async function expectRetired(): Promise<void> {
    const { current } = await installation.row();
    await installation.retire(current - 1);
    expect(await installation.existingVersions()).toEqual(new Set([current]));
    installation.start();
  }

  it.each(points)('loses nothing, and no read fails, where the process dies at %s', async (point) => {
    const before = await installation.row();
    const dying = installation.process(point);
    expect(`${await dying.exited} ${dying.output().slice(-1000)}`).toMatch(/^null /);
    expect(dying.output()).toContain('begun');
    await installation.settle(dying);
    await expectAftermath();
    const { id } = (await installation.latest())!;
    await expect(throughOutages(() => installation.fixture.rotations.rotateMasterKey('another'))).rejects.toMatchObject(
      {
        code: 'rotation_running',
        extensions: { rotation_id: id },
      },
    );
    await expectFinished();
    expect(await installation.latest()).toMatchObject({ id, targetVersion: before.current + 1 });
    await expectRetired();
  });

  it('changes nothing where a process starts after the end', async () => {
    const rotation = await installation.latest();
    const [row, versions] = [await installation.row(), await installation.existingVersions()];
    const next = installation.process('-');
    expect(await next.exited).toBe(0);
    await installation.settle(next);
    expect(await installation.latest()).toEqual(rotation);
    expect(await installation.row()).toEqual(row);
    expect(await installation.existingVersions()).toEqual(versions);
    await expectAftermath();
  });

  if (randomKills > 0)
    it('loses nothing, and no read fails, where processes die at random moments', async () => {
      const random = new Seeded();
      for (let round = 0; round < randomKills; round += 1) {
        const dying = installation.process('run');
        await waitFor('the process to open', () => !dying.running() || dying.output().includes('opened'));
        await sleep(random.below(SPAN_MS));
        await dying.kill();
        await installation.settle(dying);
        await expectAftermath().catch((error: unknown) => {
          throw new Error(`seed ${random.seed}, round ${round}`, { cause: error });
        });
      }
      await expectFinished();
      await expectRetired();
    });

  it('has lost nothing of all that was acknowledged until now', async () => {
    const { ledger } = installation;
    await installation.quiet();
    expect(ledger.size).toBeGreaterThan(owners / 25);
    await ledger.checkAll();
    expect(ledger.faults).toEqual([]);
    if (isLong()) console.log(`${ledger.size} acts acknowledged, ${ledger.reads} reads, ${ledger.outages} of them 503`);
  });
}

jest.setTimeout(isLong() ? 1_800_000 : 240_000);

describe('A rotation that is killed, on the embedded store and the local keyring', () => {
  killSuite(() => Promise.resolve({ site: {}, close: () => Promise.resolve() }), FAILPOINTS);
});

// The embedded store and Transit are each in another profile: together in the long form.
if (isLong())
  describeWithParts(['openbao'], 'A rotation that is killed, on the embedded store and Transit', () => {
    killSuite(async () => {
      const bao = await startOpenBao();
      return { site: { masterKey: transitConfig(bao) }, close: () => bao.stop() };
    }, FAILPOINTS);
  });

describeWithParts(['secantus', 'openbao'], 'A rotation that is killed, on MongoDB and Transit', () => {
  killSuite(() => openPlace('transit'), drawn('rotation-kill on MongoDB', FAILPOINTS, 2), SLOW);
});

describeWithParts(['secantus', 'openbao'], 'A rotation that is killed, on MongoDB with all keys in Vault KV', () => {
  killSuite(() => openPlace('kv'), isLong() ? ['kv-master.rotated', ...FAILPOINTS] : ['kv-master.rotated'], DOCUMENTS);
});

async function openPlace(home: 'transit' | 'kv'): Promise<Place> {
  const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
  const masterKey = home === 'kv' ? kvConfig(bao) : transitConfig(bao);
  return {
    site: { mongo: { url: secantus.url, dbName: 'rotations' }, masterKey, userKeysInVault: home === 'kv' },
    close: async () => {
      await Promise.all([bao.stop(), secantus.stop()]);
    },
  };
}
