import { Injectable, Logger } from '@nestjs/common';
import { equalBytes, newKey } from '../../crypto';
import { DomainError, failpoint, SecretBytes, StartupError, SystemSecrets } from '../../kernel';
import { type Collection, DuplicateKey, scanPages, Store } from '../../store';
import { MasterKey, MasterKeyRow, wrapVersion } from '../master-key';
import {
  contextOf,
  isOurs,
  isVital,
  itemOf,
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
  readonly failed: readonly string[];
}

/**
 * The keys of the installation: opened once at start and held for the life of the process, so that
 * row MACs and codes work through an outage of the master key's home. Works on the engine itself,
 * below the row MACs.
 */
@Injectable()
export class SystemKeys extends SystemSecrets {
  readonly #logger = new Logger('SystemKeys');
  readonly #rows: Collection<SystemKeyDoc>;
  readonly #held = new Map<string, SecretBytes>();
  #wasReady = false;

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

  /** Whether the MACs of rows can be checked yet. */
  get openSeals(): boolean {
    return this.#held.has('integrity');
  }

  /**
   * Whether the integrity key was wrapped as that of an installation whose first start has ended.
   * The master key says so: who can write to the store cannot make that wrap into one of a first
   * start.
   */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Whether any of them is stored: asked before the master key is open. */
  async areStored(): Promise<boolean> {
    return (await this.#rows.count('_id', [], 1)) > 0;
  }

  /**
   * Opens the keys that are stored and returns the names of those that are missing. What it means
   * that one is missing is the caller's to say: on a fresh installation `create` makes it, else the
   * start is refused and nothing is made anew.
   * @throws StartupError where a row does not unwrap; DomainError `kms_unavailable`.
   */
  async open(): Promise<readonly SystemKeyName[]> {
    const rows = await Promise.all(SYSTEM_KEY_NAMES.map((name) => this.#rows.find('_id', name)));
    const found = rows.filter((row) => row !== undefined && row.state !== 'pending') as SystemKeyDoc[];
    await this.#unwrap(found);
    return SYSTEM_KEY_NAMES.filter((name) => !found.some((row) => row._id === name));
  }

  /**
   * Makes the missing keys. For a fresh installation only: before the first master key row there is
   * nobody who could retire a version, so this wrap needs no second look at an epoch. Safe to
   * repeat after a crash and to race: of two processes the first row of a name stands, and both
   * hold that one.
   */
  async create(): Promise<void> {
    for (const name of await this.open()) {
      await this.#insert(name);
      failpoint('system-keys.one-stored');
    }
    const [missing] = await this.open();
    if (missing !== undefined) throw new StartupError(`The system key ${missing} could not be stored.`);
  }

  /**
   * Called once the installation document is sealed: wraps the integrity key as that of an
   * installation whose first start has ended, with the version that its wrap names, so that no
   * retire can have ended it. Safe to repeat and to race.
   * @throws DomainError `kms_unavailable`.
   */
  async endFirstStart(): Promise<void> {
    for (;;) {
      const row = await this.#rows.find('_id', 'integrity');
      if (row?.state !== 'opening') return;
      const item = { key: this.integrity, context: contextOf('integrity') };
      const [wrapped] = await this.masterKey.wrap(wrapVersion(row.wrapped) ?? row.master_version, [item]);
      if (wrapped === undefined) throw new TypeError('a wrap gave no answer');
      failpoint('system-keys.first-start-wrapped');
      const { state: _opening, ...ended } = row;
      if (await this.#rows.replace({ ...ended, wrapped: wrapped.ciphertext, master_version: wrapped.masterVersion }))
        return;
    }
  }

  /**
   * Makes what an installation from before that key lacks, and nothing vital: a master key row is
   * there, so by the wrap protocol. A process that finds a pending row, its own or that of a dead
   * process, wraps it with the version that is current, and lets it become active only if no retire
   * came in between.
   * @throws DomainError `kms_unavailable`.
   */
  async supplement(masterRow: MasterKeyRow): Promise<void> {
    for (const name of SYSTEM_KEY_NAMES) {
      if (isVital(name)) continue;
      while (!this.#held.has(name)) {
        const row = await this.#rows.find('_id', name);
        if (row === undefined) await this.#insert(name, (await masterRow.read()).current);
        else if (row.state === 'pending') await this.#settle(row, masterRow);
        else await this.#unwrap([row]);
      }
    }
  }

  /**
   * Wraps each key anew under `target`, whatever its row says of its version: only one that opens,
   * and names the target itself, is left as it is. Safe to repeat and to race.
   * @throws DomainError `kms_unavailable`.
   */
  async rewrapAll(target: number): Promise<SystemRewrap> {
    const names = await this.#names();
    const outcomes = await Promise.all(names.map((name) => this.#rewrap(name, target)));
    return {
      done: outcomes.filter((outcome) => outcome === 'done').length,
      failed: names.filter((_, at) => outcomes[at] === 'failed'),
    };
  }

  /**
   * Names of keys of this release that do not open, or are not the ones that this process works
   * with.
   * @throws DomainError `kms_unavailable`.
   */
  async spoilt(): Promise<readonly string[]> {
    const names: string[] = [];
    for (const name of SYSTEM_KEY_NAMES) {
      const row = await this.#rows.find('_id', name);
      const opened = row && (await this.#opened(row));
      opened?.destroy();
      const isNeeded = row === undefined ? isVital(name) : row.state !== 'pending';
      if (opened === undefined && isNeeded) names.push(name);
    }
    return names;
  }

  /**
   * The master key version of each stored key, by its wrap. Each key of this release is opened: one
   * that a retire would end must not be taken for another.
   * @throws DomainError `integrity_failed` naming a key that is gone, does not open or is wrapped
   * by another version than its row says.
   */
  async wrapVersions(): Promise<readonly number[]> {
    const versions: number[] = [];
    for (const name of await this.#names()) {
      const row = await this.#rows.findLinearizable(name);
      if (row === undefined && !isVital(name)) continue;
      const version = wrapVersion(row?.wrapped);
      const opened = isOurs(name) && row !== undefined ? await this.#opened(row) : undefined;
      opened?.destroy();
      // Nothing was ever signed with a pending one.
      if (row?.state === 'pending' && opened === undefined) continue;
      if (version === undefined || version !== row?.master_version || (isOurs(name) && opened === undefined))
        throw doubtful(name);
      versions.push(version);
    }
    return versions;
  }

  /** How many keys a version up to `version` wraps, for display: nothing is opened. */
  async countWrappedBy(version: number): Promise<number> {
    const rows = await Promise.all(SYSTEM_KEY_NAMES.map((name) => this.#rows.find('_id', name)));
    return rows.filter((row) => wrapVersion(row?.wrapped) === version).length;
  }

  /** Those of this release, and those that another release has stored beside them. */
  async #names(): Promise<readonly string[]> {
    const names = new Set<string>(SYSTEM_KEY_NAMES);
    for await (const { _id } of scanPages(this.#rows, '_id', [])) names.add(_id);
    return [...names];
  }

  #key(name: SystemKeyName): SecretBytes {
    const key = this.#held.get(name);
    if (key === undefined) throw new DomainError('kms_unavailable', { detail: 'The system keys are not open yet.' });
    return key;
  }

  /**
   * With the version of the master key row as `current` the new row is pending; without, on a fresh
   * installation, it is there at once.
   */
  async #insert(name: SystemKeyName, current?: number): Promise<void> {
    const version = current ?? (await this.masterKey.state()).current;
    const key = newKey();
    try {
      const state = current !== undefined ? 'pending' : name === 'integrity' ? 'opening' : undefined;
      const [wrapped] = await this.masterKey.wrap(version, [{ key, context: contextOf(name, state) }]);
      if (wrapped === undefined) throw new TypeError('a wrap gave no answer');
      const draft = { _id: name, wrapped: wrapped.ciphertext, master_version: wrapped.masterVersion };
      await this.#rows.insert(state === undefined ? draft : { ...draft, state });
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
    closed.forEach(({ _id: name, state }, at) => {
      const result = results[at];
      if (result?.ok !== true) {
        throw new StartupError(
          `The master key does not open the system key ${name}: this is not the store that belongs to it.`,
        );
      }
      // A second open may have come in between: who holds the first one must not lose it.
      if (this.#held.has(name)) result.value.destroy();
      else this.#held.set(name, result.value);
      this.#wasReady ||= name === 'integrity' && state !== 'opening';
    });
  }

  async #rewrap(name: string, target: number): Promise<'done' | 'current' | 'failed'> {
    for (;;) {
      const row = await this.#rows.find('_id', name);
      if (row === undefined) return isVital(name) ? 'failed' : 'current';
      const key = await this.#opened(row);
      // A row that is no key of this release, and does not open as one, is for that release or for
      // the operator.
      if (key === undefined) return isOurs(name) ? 'failed' : 'current';
      try {
        const fresh = await this.#anew(row, key, target);
        if (fresh === undefined) return 'current';
        failpoint('system-keys.rewrapped');
        if ((await this.#rows.replace({ ...row, ...fresh })) !== undefined) return 'done';
      } finally {
        key.destroy();
      }
    }
  }

  /**
   * Undefined where the row is right as it is: its wrap, which opens, names the target or a later
   * version, and so does the row.
   */
  async #anew(
    row: SystemKeyDoc,
    key: SecretBytes,
    target: number,
  ): Promise<Pick<SystemKeyDoc, 'wrapped' | 'master_version'> | undefined> {
    const version = wrapVersion(row.wrapped);
    if (version !== row.master_version)
      this.#logger.error(`the row of the system key ${row._id} does not name the master key version of its wrap`);
    if (version !== undefined && version >= target)
      return version === row.master_version ? undefined : { wrapped: row.wrapped, master_version: version };
    const [wrap] = await this.masterKey.wrap(target, [{ key, context: contextOf(row._id, row.state) }]);
    if (wrap === undefined) throw new TypeError('a wrap gave no answer');
    return { wrapped: wrap.ciphertext, master_version: wrap.masterVersion };
  }

  /**
   * The key in a row, by the version that its wrap names; undefined where it does not open, or is
   * not the one that this process works with.
   */
  async #opened(row: SystemKeyDoc): Promise<SecretBytes | undefined> {
    if (wrapVersion(row.wrapped) === undefined) return undefined;
    const [result] = await this.masterKey.unwrap([itemOf(row)]);
    if (result?.ok !== true) return undefined;
    const held = isVital(row._id) ? this.#held.get(row._id) : undefined;
    if (held === undefined || equalBytes(held.bytes, result.value.bytes)) return result.value;
    result.value.destroy();
    return undefined;
  }
}

/**
 * The keys' part of a start, between the two halves of the installation's. `fresh` is true for a
 * first start that has not ended yet: only then is anything made that data depends on, and all of
 * it is safe to repeat after a crash and to race with other processes.
 * @throws StartupError; DomainError `kms_unavailable` where the key backend does not answer.
 */
export async function openKeys(
  keys: { readonly masterKey: MasterKey; readonly systemKeys: SystemKeys; readonly row: MasterKeyRow },
  fresh: boolean,
): Promise<void> {
  const { masterKey, systemKeys, row } = keys;
  await masterKey.open({ create: fresh });
  const missing = await systemKeys.open();
  const vital = missing.find((name) => VITAL_SYSTEM_KEYS.includes(name));
  if (vital !== undefined && !fresh) {
    throw new StartupError(`The system key ${vital} is missing: restore the store from a backup.`);
  }
  if (missing.length > 0 && fresh) await systemKeys.create();
  if ((await row.find()) === undefined) {
    if (!fresh) throw new StartupError('The master key row is missing: restore the store from a backup.');
    await row.create((await masterKey.state()).current, masterKey.home);
  }
  await systemKeys.supplement(row);
}

const doubtful = (name: string): DomainError =>
  new DomainError('integrity_failed', {
    detail: `The row of the system key ${name} is missing, does not unwrap, or has a different key version than it names. Restore it from a backup.`,
  });
