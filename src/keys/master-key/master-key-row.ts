import { DomainError } from '../../kernel';
import { type Collection, defineCollection, type Doc, DuplicateKey, Store, plain } from '../../store';
import { DATA_MASTER_KEY, type MasterKeyInstance } from './master-key-instance';
import { type BackendName, onlyBackend, type VersionRange } from './version-ranges';

export interface MasterKeyDoc extends Doc {
  /** The master key version that everything new is wrapped with. */
  readonly current: number;
  /**
   * Rises with each rotation and each retire: what a wrapper compares before it lets a row become
   * visible.
   */
  readonly epoch: number;
  /**
   * Which backend holds which versions, oldest first. Missing in rows from before a key could move:
   * then one backend has them all.
   */
  readonly homes?: readonly VersionRange[];
}

export const masterKeyCollection = defineCollection<MasterKeyDoc>({
  name: 'master_key',
  fields: { current: plain.number, epoch: plain.number, homes: plain.json },
  tampered: 'refuse',
});

/**
 * The one row that says which master key version is current. The master key's backend knows
 * versions, this row says which of them Coffer uses: so a rotation that died between the two, or an
 * operator who rotated in Vault by hand, changes nothing until the row moves.
 */
export class MasterKeyRow {
  readonly #rows: Collection<MasterKeyDoc>;

  constructor(
    store: Store,
    private readonly instance: MasterKeyInstance = DATA_MASTER_KEY,
  ) {
    this.#rows = store.collection(masterKeyCollection);
  }

  /**
   * Always from the store, never from memory, and linearizable: steps 1 and 4 of the wrap protocol
   * decide on it, and a new primary's majority snapshot may be older than a write that was
   * acknowledged.
   * @throws DomainError `integrity_failed` where it is gone.
   */
  async read(): Promise<MasterKeyDoc> {
    const row = await this.find();
    if (row === undefined) throw new DomainError('integrity_failed', { detail: 'The master key row is missing.' });
    return row;
  }

  /** As `read`, but undefined where there is none: a fresh installation. */
  find(): Promise<MasterKeyDoc | undefined> {
    return this.#rows.findLinearizable(this.instance.rowId);
  }

  /**
   * The first row, on a fresh installation. Safe to repeat and to race: the row that is there
   * stays.
   */
  async create(current: number, home: BackendName): Promise<MasterKeyDoc> {
    try {
      return await this.#rows.insert({ _id: this.instance.rowId, current, epoch: 1, homes: onlyBackend(home) });
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      return this.read();
    }
  }

  /**
   * Compare-and-set: the row with `current` (the same one for a retire), the next epoch and, for a
   * move, other backends; or undefined where `seen` is no longer the row that is stored. Versions
   * never go back.
   */
  advance(seen: MasterKeyDoc, current: number, homes = seen.homes): Promise<MasterKeyDoc | undefined> {
    if (current < seen.current) throw new TypeError('a master key version does not go back');
    return this.#rows.replace({ ...seen, current, epoch: seen.epoch + 1, ...(homes === undefined ? {} : { homes }) });
  }

  /**
   * Compare-and-set of the backends alone: undefined where `seen` is no longer the row that is
   * stored. Wrappers need not look again.
   */
  note(seen: MasterKeyDoc, homes: readonly VersionRange[]): Promise<MasterKeyDoc | undefined> {
    return this.#rows.replace({ ...seen, homes });
  }
}
