import { Injectable } from '@nestjs/common';
import { newKey } from '../../crypto';
import { DomainError, failpoint, SecretBytes, StartRefused, SystemSecrets } from '../../kernel';
import { type Collection, DuplicateKey, Store } from '../../store';
import { INSTALLATION, MasterKey, type MasterKeyRow, type UnwrapItem, wrapContext } from '../master';
import {
  SYSTEM_KEY_NAMES,
  type SystemKeyDoc,
  type SystemKeyName,
  systemKeysCollection,
  VITAL_SYSTEM_KEYS,
} from './system-keys.collection';

export interface SystemRewrap {
  /** Keys that the target version wraps now and did not before. */
  readonly done: number;
  /** Names of keys that did not unwrap. */
  readonly failed: readonly SystemKeyName[];
}

/**
 * The keys of the installation: opened once at start and held for the life of the process, so that row seals and codes work through an
 * outage of the master key's home. Works on the engine itself, below the row seals.
 */
@Injectable()
export class SystemKeys extends SystemSecrets {
  readonly #rows: Collection<SystemKeyDoc>;
  readonly #held = new Map<string, SecretBytes>();

  constructor(
    store: Store,
    private readonly masterKey: MasterKey,
  ) {
    super();
    this.#rows = store.collection(systemKeysCollection);
  }

  get integrity(): SecretBytes {
    return this.#key('integrity');
  }

  get oneTimeCodes(): SecretBytes {
    return this.#key('one-time-codes');
  }

  get receipts(): SecretBytes {
    return this.#key('receipts');
  }

  /** Whether the seals of rows can be checked yet. */
  get openSeals(): boolean {
    return this.#held.has('integrity');
  }

  /** Whether any of them is stored: asked before the master key is open. */
  async areStored(): Promise<boolean> {
    return (await this.#rows.count('_id', [])) > 0;
  }

  /**
   * Opens the keys that are stored and returns the names of those that are missing. What it means that one is missing is the caller's to
   * say: on a fresh installation `create` makes it, else the start is refused and nothing is made anew.
   * @throws StartRefused where a row does not unwrap; DomainError `kms_unavailable`.
   */
  async open(): Promise<readonly SystemKeyName[]> {
    const rows = await Promise.all(SYSTEM_KEY_NAMES.map((name) => this.#rows.find('_id', name)));
    const found = rows.filter((row) => row !== undefined && row.state !== 'pending') as SystemKeyDoc[];
    await this.#unwrap(found);
    return SYSTEM_KEY_NAMES.filter((name) => !found.some((row) => row._id === name));
  }

  /**
   * Makes the missing keys. For a fresh installation only: before the first master key row there is nobody who could retire a version, so
   * this wrap needs no second look at an epoch. Safe to repeat after a crash and to race: of two processes the first row of a name
   * stands, and both hold that one.
   */
  async create(): Promise<void> {
    for (const name of await this.open()) {
      await this.#insert(name);
      failpoint('system-keys.one-stored');
    }
    const [missing] = await this.open();
    if (missing !== undefined) throw new StartRefused(`The system key ${missing} could not be stored.`);
  }

  /**
   * Makes what an installation from before that key lacks, and nothing vital: a master key row is there, so by the wrap protocol. Whoever
   * finds a pending row, its own or that of a dead process, wraps it with the version that is current, and lets it become active only if
   * no retire came in between. @throws DomainError `kms_unavailable`.
   */
  async supplement(masterRow: MasterKeyRow): Promise<void> {
    for (const name of SYSTEM_KEY_NAMES) {
      if (VITAL_SYSTEM_KEYS.includes(name)) continue;
      while (!this.#held.has(name)) {
        const row = await this.#rows.find('_id', name);
        if (row === undefined) await this.#insert(name, (await masterRow.read()).current);
        else if (row.state === 'pending') await this.#settle(row, masterRow);
        else await this.#unwrap([row]);
      }
    }
  }

  /** Wraps each key again whose master version is older than `target`. Safe to repeat and to race. @throws DomainError `kms_unavailable`. */
  async rewrapAll(target: number): Promise<SystemRewrap> {
    const outcomes = await Promise.all(SYSTEM_KEY_NAMES.map((name) => this.#rewrap(name, target)));
    return {
      done: outcomes.filter((outcome) => outcome === 'done').length,
      failed: SYSTEM_KEY_NAMES.filter((_, at) => outcomes[at] === 'failed'),
    };
  }

  /** How many keys the master key version `version` wraps: what a retire counts. */
  countWrappedBy(version: number): Promise<number> {
    return this.#rows.count('master_version', [version]);
  }

  #key(name: SystemKeyName): SecretBytes {
    const key = this.#held.get(name);
    if (key === undefined) throw new DomainError('kms_unavailable', { detail: 'The system keys are not open yet.' });
    return key;
  }

  /** With the version of the master key row as `current` the new row is pending; without, on a fresh installation, it is there at once. */
  async #insert(name: SystemKeyName, current?: number): Promise<void> {
    const version = current ?? (await this.masterKey.state()).current;
    const key = newKey();
    try {
      const [wrapped] = await this.masterKey.wrap(version, [{ key, context: contextOf(name) }]);
      if (wrapped === undefined) throw new TypeError('a wrap gave no answer');
      const draft = { _id: name, wrapped: wrapped.ciphertext, master_version: wrapped.masterVersion };
      await this.#rows.insert(current === undefined ? draft : { ...draft, state: 'pending' });
      if (current !== undefined) failpoint('system-keys.pending-stored');
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
    } finally {
      key.destroy();
    }
  }

  async #settle(pending: SystemKeyDoc, masterRow: MasterKeyRow): Promise<void> {
    const { current, epoch } = await masterRow.read();
    const [again] = await this.masterKey.rewrap(current, [itemOf(pending)]);
    if (again?.ok !== true) {
      // Its version was retired while its writer was dead. Nothing was ever signed with it.
      await this.#rows.remove(pending._id, pending.rev);
      return;
    }
    const { ciphertext: wrapped, masterVersion: master_version } = again.value;
    const row = await this.#rows.replace({ ...pending, wrapped, master_version });
    if (row === undefined || (await masterRow.read()).epoch !== epoch) return;
    const { state: _pending, ...active } = row;
    await this.#rows.replace(active);
  }

  async #unwrap(rows: readonly SystemKeyDoc[]): Promise<void> {
    const closed = rows.filter((row) => !this.#held.has(row._id));
    const results = closed.length === 0 ? [] : await this.masterKey.unwrap(closed.map(itemOf));
    closed.forEach(({ _id: name }, at) => {
      const result = results[at];
      if (result?.ok !== true) {
        throw new StartRefused(
          `The master key does not open the system key ${name}: this is not the store that belongs to it.`,
        );
      }
      // A second open may have come in between: who holds the first one must not lose it.
      if (this.#held.has(name)) result.value.destroy();
      else this.#held.set(name, result.value);
    });
  }

  async #rewrap(name: SystemKeyName, target: number): Promise<'done' | 'current' | 'failed'> {
    for (;;) {
      const row = await this.#rows.find('_id', name);
      if (row === undefined) return VITAL_SYSTEM_KEYS.includes(name) ? 'failed' : 'current';
      if (row.master_version >= target) return 'current';
      const [result] = await this.masterKey.rewrap(target, [itemOf(row)]);
      if (result?.ok !== true) return 'failed';
      const { ciphertext: wrapped, masterVersion } = result.value;
      failpoint('system-keys.rewrapped');
      if (await this.#rows.replace({ ...row, wrapped, master_version: masterVersion })) return 'done';
    }
  }
}

const contextOf = (name: SystemKeyName): Buffer => wrapContext(name, INSTALLATION, 1);

const itemOf = (row: SystemKeyDoc): UnwrapItem => ({
  wrapped: { masterVersion: row.master_version, ciphertext: row.wrapped },
  context: contextOf(row._id as SystemKeyName),
});
