import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MasterKeyDoc } from '../../src/keys/master-key';
import { Retirement, type Rotation } from '../../src/keys/rotation';
import { systemKeysCollection } from '../../src/keys/system-keys';
import { userKeysCollection } from '../../src/keys/user-keys/user-keys.collection';
import { startActor } from './actors';
import { type KeyFixture } from './key-fixture';
import { throughOutages } from './outages';
import type { Managed } from './processes';
import { RotationLedger } from './rotation-ledger';
import { RotationTraffic } from './rotation-traffic';
import { seedOwners } from './seed-owners';
import { openSite, type Site } from './site';

/** One owner in so many has a record from the start. */
const RECORD_EACH = 25;

/**
 * An installation with seeded owners, in which this process is a replica that reads, writes,
 * registers and erases for as long as a test lasts, while others, which rotate, are killed. Without
 * a cache: each read goes all the way to the master key.
 */
export class RotationInstallation {
  readonly ledger: RotationLedger;
  #reading: Promise<void> | undefined;
  #traffic: RotationTraffic | undefined;
  #stop = false;

  private constructor(
    readonly site: Site,
    readonly fixture: KeyFixture,
    readonly owners: readonly string[],
  ) {
    this.ledger = new RotationLedger(fixture);
  }

  static async make(place: Omit<Site, 'folder'>, count: number): Promise<RotationInstallation> {
    const site = { ...place, folder: await mkdtemp(join(tmpdir(), 'coffer-rotation-kill-')) };
    const fixture = await openSite(site, { cacheMs: 0 });
    const owners = Array.from({ length: count }, (_, n) => `owner-${n}`);
    await seedOwners(fixture, owners);
    const made = new RotationInstallation(site, fixture, owners);
    const writers = made.#newTraffic(owners.filter((_, n) => n % RECORD_EACH === 0));
    for (let n = 0; n < count / RECORD_EACH; n += 1) await throughOutages(() => writers.write());
    return made;
  }

  /**
   * One process: finishes what it finds, begins a rotation and dies at `point` (or runs it to its
   * end).
   */
  process(point: string): Managed {
    return startActor('rotation-runner', JSON.stringify(this.site), point, String(this.owners.length));
  }

  /** Takes in what a process that has ended had acknowledged, and sees whether it holds. */
  async settle(ended: Managed): Promise<void> {
    for (const line of ended.output().split('\n')) this.ledger.note(line);
    await this.ledger.checkFresh();
  }

  start(): void {
    this.#traffic = this.#newTraffic(this.owners);
    this.#traffic.start();
    this.#reading ??= this.#readOn();
  }

  /** Ends the writes of this process; it goes on reading. */
  async quiet(): Promise<void> {
    await this.#traffic?.stop();
  }

  async close(): Promise<void> {
    await this.quiet();
    this.#stop = true;
    await this.#reading;
    await this.fixture.close();
    await rm(this.site.folder, { recursive: true, force: true });
  }

  async latest(): Promise<Rotation | undefined> {
    return (await throughOutages(() => this.fixture.rotations.list({ limit: 1 }))).items[0];
  }

  row(): Promise<MasterKeyDoc> {
    return throughOutages(() => this.fixture.row.read());
  }

  /** Ends `version` and all before it, as an administrator does. */
  retire(version: number): Promise<void> {
    const { masterKey, row, systemKeys, rewrapper } = this.fixture;
    const retirement = new Retirement(masterKey, row, systemKeys, rewrapper);
    return throughOutages(() => retirement.retire(version));
  }

  /** Versions that wrap anything. */
  versionsInUse(): Promise<Set<number>> {
    return throughOutages(() => this.#versionsInUse());
  }

  async existingVersions(): Promise<Set<number>> {
    const { versions } = await throughOutages(() => this.fixture.masterKey.state());
    return new Set(versions.map(({ version }) => version));
  }

  async #versionsInUse(): Promise<Set<number>> {
    const users = this.fixture.store.collection(userKeysCollection);
    const system = await this.fixture.engine.collection(systemKeysCollection).list('_id', [], { limit: 10 });
    const used = new Set(system.items.map((row) => row.master_version));
    for (let after: string | undefined; ;) {
      const page = await users.list('_id', [], { limit: 500, ...(after === undefined ? {} : { after }) });
      for (const row of page.items) for (const entry of row.versions) used.add(entry.master_version);
      if (page.next === undefined) return used;
      after = page.next;
    }
  }

  #newTraffic(owners: readonly string[]): RotationTraffic {
    return new RotationTraffic({
      fixture: this.fixture,
      owners,
      acknowledge: (line) => this.ledger.note(line),
      fault: (line) => this.ledger.note(`fault ${line}`),
      pauseMs: 50,
    });
  }

  async #readOn(): Promise<void> {
    for (let turn = 0; !this.#stop; turn += 1) {
      await this.ledger.readOne(turn);
      // Reads of the embedded store and the keyring never leave the turn of the event loop by
      // themselves, and the others need the processor.
      await sleep(10);
    }
  }
}
