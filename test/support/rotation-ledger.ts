import { isDomainError, SystemClock } from '../../src/kernel';
import { SensitiveDataService } from '../../src/sensitive-data/sensitive-data.service';
import { noQuota } from './usage';
import { type KeyFixture } from './key-fixture';
import { person } from './person';
import { isOutage } from './outages';

const AT_ONCE = 8;
const ACTS = new Set(['wrote', 'made', 'erasing', 'erased']);

/** All that was acknowledged to anybody, and whether it still holds. */
export class RotationLedger {
  readonly faults: string[] = [];
  reads = 0;
  outages = 0;
  readonly #records: SensitiveDataService;
  readonly #written = new Map<string, string>();
  readonly #made = new Set<string>();
  readonly #erasing = new Set<string>();
  readonly #erased = new Set<string>();
  #fresh: string[] = [];

  constructor(private readonly fixture: KeyFixture) {
    this.#records = new SensitiveDataService(
      fixture.store,
      fixture.sealer,
      fixture.audit,
      new SystemClock(),
      noQuota(fixture.store),
    );
  }

  get size(): number {
    return this.#written.size + this.#made.size + this.#erased.size;
  }

  note(line: string): void {
    const [what, id, owner] = line.split(' ');
    if (what === 'fault') this.faults.push(line);
    if (id === undefined || !ACTS.has(what!)) return;
    this.#fresh.push(id);
    if (what === 'wrote') this.#written.set(id, owner!);
    if (what === 'made') this.#made.add(id);
    if (what === 'erasing') this.#erasing.add(id);
    if (what === 'erased') this.#erased.add(id);
  }

  /** Some record, the next one in turn. */
  async readOne(turn: number): Promise<void> {
    const records = [...this.#written];
    const [id, owner] = records[turn % Math.max(1, records.length)] ?? [];
    if (id !== undefined) await this.#readRecord(id, owner!);
  }

  /** Everything: what was written is there, who was made has a key, who was erased has none. */
  async checkAll(): Promise<void> {
    await this.#check([...this.#written.keys(), ...this.#made]);
  }

  /** The same of what was acknowledged since the last time. */
  async checkFresh(): Promise<void> {
    await this.#check(this.#fresh.splice(0));
  }

  async #check(ids: readonly string[]): Promise<void> {
    const all = [...new Set(ids)];
    for (let start = 0; start < all.length; start += AT_ONCE) {
      await Promise.all(all.slice(start, start + AT_ONCE).map((id) => this.#checkOne(id)));
    }
  }

  async #checkOne(id: string): Promise<void> {
    const owner = this.#written.get(id);
    if (owner !== undefined) await this.#readRecord(id, owner);
    else if (this.#erased.has(id)) await this.#look(`erased ${id}`, () => this.#isGone(id));
    else if (!this.#erasing.has(id)) await this.#look(`owner ${id}`, () => this.#opens(id));
  }

  #readRecord(id: string, owner: string): Promise<void> {
    return this.#look(`record ${id}`, async () => {
      const { record } = await this.#records.get(person(owner), id, 'clear');
      return record.value === `of ${owner}`;
    });
  }

  async #opens(owner: string): Promise<boolean> {
    return /^[0-9a-f]{64}$/.test(await this.fixture.sealer.with(owner, (keys) => keys.nameIndex('x')));
  }

  async #isGone(owner: string): Promise<boolean> {
    try {
      await this.#opens(owner);
      return false;
    } catch (error) {
      if (isDomainError(error, 'not_found')) return true;
      throw error;
    }
  }

  async #look(what: string, holds: () => Promise<boolean>): Promise<void> {
    this.reads += 1;
    try {
      if (!(await holds())) this.faults.push(`${what} is not what it was`);
    } catch (error) {
      if (isOutage(error)) this.outages += 1;
      else this.faults.push(`${what}: ${String(error)}`);
    }
  }
}
