import { Logger } from '@nestjs/common';
import type { WrapLocation } from '../../../../installation';
import { failpoint, StartupError } from '../../../../kernel';
import { type Draft, retryOnConflict } from '../../../../store';
import {
  asOneOperation,
  inAttempts,
  KvDocuments,
  PartSize,
  tellKvSettings,
  VaultForbidden,
  VaultNoEngine,
  type VaultSession,
} from '../../../../vault-client';
import { accepted, type ItemResult, refusedItem } from '../../../master-key';
import type { UserKeyDoc } from '../../user-keys.collection';
import {
  ForeignWraps,
  MovableWrapStore,
  type StoredWrap,
  UnreadableWrapDocument,
  WrapPathConflict,
} from '../wrap-store';
import {
  bindMount,
  claim,
  documentOf,
  FREE,
  MOUNT_MARK,
  parseDocument,
  tombstone,
  type UserKeyDocument,
} from './wrap-document';

// Fewer than the sockets that the client has: a rotation leaves some for those who wait for an
// answer.
const AT_ONCE = 8;
/** No user name: those begin with a letter or a digit. */
const NOBODY = '_';

const always = (): Promise<boolean> => Promise.resolve(true);

interface Found {
  readonly document: UserKeyDocument;
  readonly version: number;
}

/**
 * The wraps in Vault, one document a user name, so that a backup of the store opens nothing once
 * the document is destroyed. The rows keep owner, versions, epoch and state. A document is never
 * deleted, since a late deletion would hit whoever has the name by then: it is overwritten by
 * check-and-set and its former versions are destroyed by their numbers.
 */
export class VaultWrapStore extends MovableWrapStore {
  readonly #logger = new Logger('VaultWrapStore');
  readonly #documents: KvDocuments;
  readonly #atOnce = new PartSize(AT_ONCE);

  constructor(
    private readonly session: VaultSession,
    kvMount: string,
  ) {
    super();
    this.#documents = new KvDocuments(session, kvMount);
  }

  /** Binds the mount to the installation that comes first. */
  async open(installationId: string): Promise<void> {
    const { mount } = this.#documents;
    await this.session.open();
    await bindMount(this.#documents, installationId).catch((error: unknown) => {
      if (error instanceof VaultForbidden)
        throw new StartupError(`Vault's policy does not let Coffer read and write ${mount}/data/user_keys/.`);
      throw error instanceof VaultNoEngine
        ? new StartupError(`Vault has no KV engine of version 2 at ${mount}.`)
        : error;
    });
    await tellKvSettings(this.session, mount, MOUNT_MARK);
  }

  async ping(): Promise<void> {
    await this.#documents.read(pathOf(NOBODY));
  }

  location(): Promise<WrapLocation> {
    return Promise.resolve('vault');
  }

  isSettled(): Promise<boolean> {
    return Promise.resolve(true);
  }

  async get(rows: readonly UserKeyDoc[]): Promise<ItemResult<UserKeyDoc>[]> {
    return this.#atOnce.inParts(rows, (together) =>
      asOneOperation(() => Promise.all(together.map((row) => this.#complete(row)))),
    );
  }

  async put(row: Draft<UserKeyDoc>, isNew = false): Promise<void> {
    const name = nameOf(row);
    await inAttempts(retryOnConflict, async () => {
      const { document, version } = await this.#read(name);
      if (document.state === 'erasing') throw new WrapPathConflict(name, document.userId, true);
      if (document.state === 'active' && document.userId !== row._id)
        throw new WrapPathConflict(name, document.userId, false);
      // A process that read the row before an erase comes too late: that owner's wraps must not
      // come back.
      if (document.state === 'free' && !isNew) throw new WrapPathConflict(name, row._id, false);
      const former = document.state === 'active' ? document.entries : [];
      return this.#write(name, documentOf(row._id, merged(former, keptWraps(row))), version);
    });
    failpoint('user-key.vault-kept');
  }

  async fill(row: UserKeyDoc, isMeant: () => Promise<boolean>): Promise<boolean> {
    const name = nameOf(row);
    const { at } = await inAttempts<{ readonly at: number | undefined }>(retryOnConflict, async () => {
      const { document, version } = await this.#read(name);
      if (document.state === 'erasing') throw new WrapPathConflict(name, document.userId, true);
      if (document.state === 'active' && document.userId !== row._id)
        throw new WrapPathConflict(name, document.userId, false);
      const filled = this.#filled(document.state === 'active' ? document.entries : [], row);
      const ours = document.state === 'free' ? await this.#write(name, claim(row._id), version) : version;
      if (ours === undefined) return undefined;
      failpoint('user-key-move.claimed');
      if (!(await isMeant())) return { at: undefined };
      const at = await this.#write(name, documentOf(row._id, filled), ours);
      return at === undefined ? undefined : { at };
    });
    if (at === undefined) return false;
    // What dead writers left there, and versions of the key that were dropped meanwhile.
    await this.#documents.destroyBefore(pathOf(name), at);
    return true;
  }

  isAhead(row: UserKeyDoc): Promise<boolean> {
    return asOneOperation(async () => {
      const { document } = await this.#read(nameOf(row));
      if (document.state !== 'active' || document.userId !== row._id) return false;
      return document.entries.some(({ version }) => version > row.current);
    });
  }

  /**
   * What a fill leaves in the document.
   * @throws ForeignWraps where nobody can say yet which of two keys of one version is the owner's.
   */
  #filled(there: readonly StoredWrap[], row: UserKeyDoc): readonly StoredWrap[] {
    const wraps = keptWraps(row);
    const foreign = there.filter((entry) => isForeign(entry, there, wraps));
    if (foreign.length > 0) throw new ForeignWraps(foreign);
    const newer = there.filter(({ version }) => version > row.current);
    if (newer.length > 0)
      this.#logger.warn(
        `newer versions of the key of owner ${row._id} stay in Vault: the store was restored from a backup`,
      );
    const ids = new Set(wraps.map(({ key_id }) => key_id));
    const former = there.filter(({ key_id }) => ids.has(key_id));
    return [...newer, ...newest(former, wraps)];
  }

  orphans(row: UserKeyDoc): Promise<readonly string[]> {
    return asOneOperation(async () => {
      const { document } = await this.#read(nameOf(row));
      if (document.state !== 'active' || document.userId !== row._id) return [];
      const named = new Set(row.versions.map(({ key_id }) => key_id));
      const strays = document.entries.filter(({ key_id, version }) => !named.has(key_id) && version <= row.current);
      return strays.map(({ key_id }) => key_id);
    });
  }

  async delete(row: Draft<UserKeyDoc>, keyIds: readonly string[]): Promise<void> {
    const name = nameOf(row);
    const written = await inAttempts(retryOnConflict, async () => {
      const { document, version } = await this.#read(name);
      if (document.state !== 'active' || document.userId !== row._id) return 0;
      const left = document.entries.filter(({ key_id }) => !keyIds.includes(key_id));
      if (left.length === document.entries.length || left.length === 0) return version;
      return this.#write(name, documentOf(row._id, left), version);
    });
    failpoint('user-key.vault-forgotten');
    if (written > 0) await this.#documents.destroyBefore(pathOf(name), written);
  }

  /**
   * `isMeant` is for an owner who may come back here, as in \`fill\`. Each request has its own
   * time: what a slow Vault has done is not done again, but what comes after it must come some day.
   */
  async erase(name: string, ownerId: string, isMeant = always): Promise<void> {
    const held = await this.#takeBack(name, ownerId, isMeant);
    if (held === undefined) return;
    failpoint('user-key.vault-tombstone');
    await this.#documents.destroyBefore(pathOf(name), held);
    failpoint('user-key.vault-destroyed');
    // Where this fails, another process has ended the same erase.
    const freed = await this.#write(name, FREE, held);
    // The tombstone named the owner.
    if (freed !== undefined) await this.#documents.destroyBefore(pathOf(name), freed);
  }

  /**
   * The number of the tombstone that stands there now; undefined where nothing of this owner is
   * there, or where it is to stay.
   */
  async #takeBack(name: string, ownerId: string, isMeant: () => Promise<boolean>): Promise<number | undefined> {
    const { at } = await inAttempts<{ readonly at: number | undefined }>(retryOnConflict, async () => {
      const { document, version } = await this.#read(name);
      if (document.state === 'free' || document.userId !== ownerId) return { at: undefined };
      if (document.state === 'erasing') return { at: version };
      if (!(await isMeant())) return { at: undefined };
      const at = await this.#write(name, tombstone(ownerId), version);
      return at === undefined ? undefined : { at };
    });
    return at;
  }

  /**
   * A document that cannot be read is refused for its row alone: it must not hold up a rotation of
   * all the others.
   */
  async #complete(row: UserKeyDoc): Promise<ItemResult<UserKeyDoc>> {
    if (row.name === undefined) return refusedItem('a row without the name of its document');
    const { document } = await this.#look(row.name);
    if (document === undefined) return refusedItem('the document in Vault cannot be read');
    if (document.state !== 'active' || document.userId !== row._id) return refusedItem('no wrap in Vault');
    const versions = row.versions.map(({ key_id }) => document.entries.find((entry) => entry.key_id === key_id));
    const found = versions.filter((entry) => entry !== undefined);
    return found.length === versions.length ? accepted({ ...row, versions: found }) : refusedItem('no wrap in Vault');
  }

  /** Nothing is written over a document that cannot be read. */
  async #read(name: string): Promise<Found> {
    const { document, version } = await this.#look(name);
    if (document !== undefined) return { document, version };
    throw new UnreadableWrapDocument();
  }

  /** Without a document where somebody deleted it by hand, or wrote something else there. */
  async #look(name: string): Promise<{ readonly document: UserKeyDocument | undefined; readonly version: number }> {
    const { data, version } = await this.#documents.read(pathOf(name));
    const deleted = data === undefined && version > 0;
    const document = deleted ? undefined : parseDocument(data);
    const fault = deleted ? 'was deleted (bao kv undelete brings it back)' : 'is damaged';
    if (document === undefined) this.#logger.error(`a document under ${this.#documents.mount}/user_keys ${fault}`);
    return { document, version };
  }

  #write(name: string, data: Readonly<Record<string, unknown>>, expected: number): Promise<number | undefined> {
    return this.#documents.write(pathOf(name), data, expected);
  }
}

const pathOf = (name: string): string => `user_keys/${name}`;

function nameOf({ name }: Draft<UserKeyDoc>): string {
  if (name === undefined) throw new TypeError('a user key in Vault lies under the name of its user');
  return name;
}

const keptWraps = (row: Draft<UserKeyDoc>): readonly StoredWrap[] =>
  row.versions.map((entry) => {
    if (entry.key_id === undefined || entry.wrapped === '') throw new TypeError('an incomplete row');
    return { ...entry, key_id: entry.key_id };
  });

/**
 * A wrap of a version that the row has, by another id. Where the row's own id is there as well it
 * is of a writer that came too late, since a fill puts nothing beside what is foreign to it.
 */
const isForeign = (entry: StoredWrap, there: readonly StoredWrap[], wraps: readonly StoredWrap[]): boolean => {
  const own = wraps.find(({ version }) => version === entry.version);
  return own !== undefined && !there.some(({ key_id }) => key_id === own.key_id);
};

/** What comes, with the wrap that is there where that is under a newer master version. */
const newest = (former: readonly StoredWrap[], fresh: readonly StoredWrap[]): readonly StoredWrap[] =>
  fresh.map((entry) => {
    const there = former.find(({ key_id }) => key_id === entry.key_id);
    return there !== undefined && there.master_version > entry.master_version ? there : entry;
  });

/**
 * All that is there and all that comes; of one key the wrap under the newer master version, whoever
 * writes last.
 */
function merged(former: readonly StoredWrap[], fresh: readonly StoredWrap[]): readonly StoredWrap[] {
  const byKey = new Map(former.map((entry) => [entry.key_id, entry]));
  for (const entry of fresh) {
    const there = byKey.get(entry.key_id);
    if (there === undefined || there.master_version < entry.master_version) byKey.set(entry.key_id, entry);
  }
  return [...byKey.values()];
}
