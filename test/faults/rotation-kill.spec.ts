import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ciphertext, plaintext } from '../../src/kernel';
import { type MasterKey } from '../../src/keys/master';
import { type Rotation } from '../../src/keys/rotation';
import { systemKeysCollection } from '../../src/keys/system';
import { userKeysCollection } from '../../src/keys/user/user-keys.collection';
import { startActor } from '../support/actors';
import { type KeyHouse, openKeyHouse } from '../support/key-house';
import { type Bao, describeWithPart, isLong, startOpenBao } from '../support/parts';
import { type Managed, waitFor } from '../support/processes';
import { openTransit, transitConfig } from '../support/transit';

/** Three batches and a rest, so that a death between two of them is possible. */
const OWNERS = 450;

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

interface Home {
  /** What the processes are told: `local`, or a Transit configuration. */
  readonly argument: string;
  /** The home as the reading process sees it; undefined: the local keyring in the folder. */
  readonly masterKey?: MasterKey;
}

/** An installation with owners, whose records another loop reads for as long as a test lasts. */
class Installation {
  readonly faults: string[] = [];
  reads = 0;
  #sealed = new Map<string, Ciphertext>();
  #reading: Promise<void> | undefined;
  #stop = false;

  private constructor(
    readonly folder: string,
    readonly house: KeyHouse,
    readonly home: Home,
  ) {}

  static async make(home: Home): Promise<Installation> {
    const folder = await mkdtemp(join(tmpdir(), 'coffer-rotation-kill-'));
    // No cache: each read goes all the way to the master key.
    const house = await openKeyHouse(folder, { cacheMs: 0, ...(home.masterKey && { masterKey: home.masterKey }) });
    const made = new Installation(folder, house, home);
    await made.populate();
    return made;
  }

  /** One process: finishes what it finds, begins a rotation and dies at `point` (or runs it to its end). */
  process(point: string): Managed {
    return startActor('rotation-runner', this.folder, this.home.argument, point);
  }

  startReading(): void {
    this.#reading = this.#readOn();
  }

  async close(): Promise<void> {
    this.#stop = true;
    await this.#reading;
    await this.house.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async latest(): Promise<Rotation | undefined> {
    return (await this.house.rotations.list({ limit: 1 })).items[0];
  }

  /** Versions that wrap anything. */
  async versionsInUse(): Promise<Set<number>> {
    const users = this.house.store.collection(userKeysCollection);
    const used = (await this.house.engine.collection(systemKeysCollection).list('_id', [], { limit: 10 })).items.map(
      (row) => row.master_version,
    );
    for (let after: string | undefined; ;) {
      const page = await users.list('_id', [], { limit: 500, ...(after === undefined ? {} : { after }) });
      used.push(...page.items.flatMap((row) => row.versions.map((entry) => entry.master_version)));
      if (page.next === undefined) return new Set(used);
      after = page.next;
    }
  }

  async existingVersions(): Promise<Set<number>> {
    return new Set((await this.house.masterKey.state()).versions.map(({ version }) => version));
  }

  private async populate(): Promise<void> {
    const owners = Array.from({ length: OWNERS }, (_, n) => `owner-${n}`);
    for (let at = 0; at < OWNERS; at += 50) {
      await Promise.all(owners.slice(at, at + 50).map((owner) => this.house.userKeys.create(owner, owner)));
    }
    for (const owner of owners.filter((_, n) => n % 9 === 0)) await this.#seal(owner);
  }

  async #seal(owner: string): Promise<void> {
    const value = plaintext(Buffer.from(owner));
    this.#sealed.set(owner, await this.house.sealer.with(owner, (keys) => keys.seal('records', place(owner), value)));
  }

  async #readOn(): Promise<void> {
    while (!this.#stop) {
      for (const [owner, sealed] of this.#sealed) await this.#read(owner, sealed);
    }
  }

  async #read(owner: string, sealed: Ciphertext): Promise<void> {
    try {
      const value = await this.house.sealer.with(owner, (keys) =>
        keys.open('records', place(owner), sealed).toString(),
      );
      if (value !== owner) this.faults.push(`${owner} read as something else`);
    } catch (error) {
      this.faults.push(`${owner}: ${String(error)}`);
    }
    this.reads += 1;
    // Reads of the embedded store and the keyring never leave the turn of the event loop by themselves, and the others need the processor.
    await sleep(2);
  }
}

const place = (owner: string) => ({ ownerId: owner, resourceType: 'record', resourceId: 'r', field: 'f' });

/** A small seeded generator (mulberry32), so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function killSuite(
  open: () => Promise<{ home: Home; close: () => Promise<void> }>,
  points: string[],
  randomKills: number,
) {
  let parts: Awaited<ReturnType<typeof open>>;
  let installation: Installation;

  beforeAll(async () => {
    parts = await open();
    installation = await Installation.make(parts.home);
    installation.startReading();
  }, 120_000);
  afterAll(async () => {
    await installation.close();
    await parts.close();
  }, 60_000);

  async function expectAftermath(): Promise<void> {
    expect(installation.faults).toEqual([]);
    const [used, existing] = [await installation.versionsInUse(), await installation.existingVersions()];
    expect([...used].filter((version) => !existing.has(version))).toEqual([]);
    const { current } = await installation.house.row.read();
    expect(existing).toContain(current);
  }

  async function expectFinished(): Promise<void> {
    const last = installation.process('-');
    expect(await last.exited).toBe(0);
    expect(last.output()).toContain('finished');
    const rotation = await installation.latest();
    expect(rotation).toMatchObject({ state: 'done', total: OWNERS, done: OWNERS, failed: 0 });
    expect(await installation.versionsInUse()).toEqual(new Set([rotation?.targetVersion]));
    await expectAftermath();
  }

  it.each(points)('keeps every record readable where the process dies at %s', async (point) => {
    const before = await installation.house.row.read();
    const versions = (await installation.existingVersions()).size;
    const dying = installation.process(point);
    expect(await dying.exited).toBeNull();
    expect(dying.output()).toContain('begun');
    await expectAftermath();
    const { id } = (await installation.latest())!;
    await expect(installation.house.rotations.start('another')).rejects.toMatchObject({
      code: 'rotation_running',
      extensions: { rotation_id: id },
    });
    await expectFinished();
    expect(await installation.latest()).toMatchObject({ id, targetVersion: before.current + 1 });
    expect((await installation.existingVersions()).size).toBe(versions + 1);
    expect((await installation.house.row.read()).epoch).toBe(before.epoch + 1);
  });

  it('keeps every record readable where processes die at random moments', async () => {
    const seed = Number(process.env['COFFER_SEED'] ?? Date.now() % 2 ** 31);
    const random = seeded(seed);
    const read = installation.reads;
    for (let round = 0; round < randomKills; round += 1) {
      const dying = installation.process('run');
      await waitFor('the rotation to begin', () => !dying.running() || dying.output().includes('begun'));
      await sleep(Math.floor(random() * 250));
      await dying.kill();
      await expectAftermath().catch((error: unknown) => {
        throw new Error(`seed ${seed}, round ${round}`, { cause: error });
      });
    }
    await expectFinished();
    expect(installation.reads).toBeGreaterThan(read);
  });
}

jest.setTimeout(isLong() ? 1_200_000 : 120_000);

describe('a rotation that is killed, on the local keyring', () => {
  killSuite(
    () => Promise.resolve({ home: { argument: 'local' }, close: () => Promise.resolve() }),
    FAILPOINTS,
    isLong() ? 50 : 6,
  );
});

describeWithPart('openbao', 'a rotation that is killed, on Transit', () => {
  const short = ['rotation.key-rotated', 'rotation.row-advanced', 'rotation.mid-batch'];
  killSuite(openTransitHome, isLong() ? FAILPOINTS : short, isLong() ? 50 : 3);
});

async function openTransitHome(): Promise<{ home: Home; close: () => Promise<void> }> {
  const bao: Bao = await startOpenBao();
  const masterKey = await openTransit(bao);
  return {
    home: { argument: JSON.stringify(transitConfig(bao)), masterKey },
    close: () => bao.stop().then(() => undefined),
  };
}
