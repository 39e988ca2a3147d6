import { Injectable } from '@nestjs/common';
import { randomSecret } from '../../crypto';
import { Clock, DomainError, SECOND, SecretBytes, failpoint } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { Collection, DuplicateKey, Store, update } from '../../store';
import { Keepalive, ProcessIdentity } from '../content/keepalive';
import { UploadRequest, fileExists, uploadGone } from '../model/file';
import { ContentFacts, newFileKey, sealFacts, sealName, wrapFileKey } from '../model/file-encryption';
import { ActiveFile, FileDoc, fileCollection, hasExpired } from '../model/file.collection';
import { FileRemoval } from './delete-file';

/** How often the row of an upload under way gets a sign of life. */
export const BEAT_EVERY = 20 * SECOND;

/** A row that waits for its content, and the key to encrypt it with. */
export interface PendingFile {
  readonly row: FileDoc;
  readonly key: SecretBytes;
}

/** What is known once the content is stored. */
export interface StoredContent {
  readonly size: number;
  readonly encryptedSize: number;
  readonly facts: ContentFacts;
  /** Its blob, where that is not the one that the row named from the beginning. */
  readonly blobId?: string;
  /**
   * Whether the row has to name `blobId` still: another process that makes the same file changes it
   * first.
   */
  readonly isTarget?: boolean;
  /** Its key, where that is not the one in the row. */
  readonly key?: SecretBytes;
}

/**
 * What keeps a pending row alive: this process, or the row of a resumable upload, which outlives
 * processes.
 */
export type Keeper = 'heartbeat' | 'upload';

/**
 * What happens to a file whose name was taken meanwhile. `keep-unnamed` serves senders who must not
 * learn of it.
 */
export type IfTaken = 'refuse' | 'keep-unnamed';

type FutureFile = Pick<UploadRequest, 'name' | 'expiresInMs'>;

const FIRST_VERSION = 1;
const BLOB_ID_BYTES = 16;
const ATTEMPTS = 10;

/**
 * Rows of new files: pending before a byte is stored, active by one conditional write when all is
 * durable.
 */
@Injectable()
export class PendingFiles {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: FileRemoval,
    private readonly worker: ProcessIdentity,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * Refuses early, so that nobody sends a file for nothing; `activate` decides.
   * @throws DomainError `file_exists`
   */
  async refuseTakenName(ownerId: string, name: string): Promise<void> {
    const index = await this.sealer.with(ownerId, (keys) => keys.nameIndex(name));
    if (await this.#isTaken(ownerId, index)) throw fileExists();
  }

  /** As `refuseTakenName`, for a file that gets another name. @throws DomainError `file_exists` */
  async refuseTaken({ _id, owner_id: ownerId, name_index: index }: FileDoc): Promise<void> {
    if (index !== undefined && (await this.#isTaken(ownerId, index, _id))) throw fileExists();
  }

  /**
   * Inserts the invisible row, by the wrap protocol: it holds the wrapped file key before anything
   * is encrypted with that key. The caller destroys the key.
   */
  async open(
    fileId: string,
    ownerId: string,
    request: UploadRequest,
    keeper: Keeper = 'heartbeat',
  ): Promise<PendingFile> {
    let key: SecretBytes | undefined;
    const sealed = (keys: OwnerKeys) => {
      key?.destroy();
      const made = newFileKey(keys, { _id: fileId, version: FIRST_VERSION });
      key = made.key;
      const { version } = keys;
      const name = sealName(keys, fileId, request.name);
      return { name, file_key: made.wrapped, wrap_version: version, seal_version: version };
    };
    try {
      const row = await this.sealer.insert(ownerId, {
        pending: (keys) =>
          this.#files.insert({
            ...this.#draft(fileId, ownerId, request),
            ...(keeper === 'heartbeat' && this.#signature()),
            ...sealed(keys),
          }),
        again: (row, keys) => this.#stillPending(row, () => sealed(keys)),
        // Not visible yet: a file's row becomes active with its content.
        activate: (row) => Promise.resolve(row),
      });
      failpoint('file.pending');
      if (key === undefined) throw new TypeError('a pending file without a key');
      return { row, key };
    } catch (error) {
      key?.destroy();
      throw error;
    }
  }

  /** Keeps the sweeper away from an upload, until the caller stops it. */
  keepAlive(fileId: string): Keepalive {
    const touch = (row: FileDoc): FileDoc | undefined =>
      row.state === 'pending' ? { ...row, heartbeat_at: this.clock.now() } : undefined;
    return new Keepalive({ everyMs: BEAT_EVERY, beat: () => touchRow(this.#files, fileId, touch) });
  }

  /**
   * Makes the file visible under its name.
   * @throws DomainError `file_exists`, `conflict` (the upload timed out).
   */
  async activate(
    fileId: string,
    request: FutureFile,
    content: StoredContent,
    ifTaken: IfTaken = 'refuse',
  ): Promise<ActiveFile> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      // Read before Sealer.with reads the key row: a retirement in between rewrites the row, and
      // the replace fails.
      const row = await this.#files.find('_id', fileId);
      if (row?.state !== 'pending' || (content.isTarget === true && row.blob_id !== content.blobId)) throw uploadGone();
      const active = await this.sealer.with(row.owner_id, (keys) => this.#activated(keys, row, request, content));
      const stored = await this.claimName(active, ifTaken);
      if (stored !== undefined) return stored as ActiveFile;
    }
    throw new DomainError('conflict', { detail: 'Concurrent modification of this file. Retry.' });
  }

  #draft(fileId: string, ownerId: string, request: UploadRequest) {
    const now = this.clock.now();
    return {
      _id: fileId,
      owner_id: ownerId,
      state: 'pending' as const,
      version: FIRST_VERSION,
      blob_id: newBlobId(),
      client_encrypted: request.clientEncrypted,
      created_at: now,
      modified_at: now,
    };
  }

  #signature(): Pick<FileDoc, 'heartbeat_at' | 'worker'> {
    return { heartbeat_at: this.clock.now(), worker: this.worker.id };
  }

  async #stillPending(row: FileDoc, change: () => Partial<FileDoc>): Promise<FileDoc> {
    const stored = await update(this.#files, row._id, (current) =>
      current.state === 'pending' ? { ...current, ...change() } : undefined,
    );
    if (stored?.state !== 'pending') throw uploadGone();
    return stored;
  }

  #activated(keys: OwnerKeys, row: FileDoc, request: FutureFile, content: StoredContent): FileDoc {
    const { heartbeat_at: _beat, worker: _worker, ...rest } = row;
    const now = this.clock.now();
    return {
      ...rest,
      state: 'active',
      blob_id: content.blobId ?? row.blob_id,
      ...(content.key !== undefined && {
        file_key: wrapFileKey(keys, row, content.key),
        wrap_version: keys.version,
      }),
      name_index: keys.nameIndex(request.name),
      meta: sealFacts(keys, row, content.facts),
      seal_version: Math.min(row.seal_version, keys.version),
      size: content.size,
      encrypted_size: content.encryptedSize,
      created_at: now,
      modified_at: now,
      ...(request.expiresInMs !== undefined && { expires_at: now + request.expiresInMs }),
    };
  }

  /**
   * Stores a row under its present name. Undefined where the row has changed, or where the name has
   * only just become free. @throws DomainError `file_exists`
   */
  async claimName(row: FileDoc, ifTaken: IfTaken = 'refuse'): Promise<FileDoc | undefined> {
    try {
      return await this.#files.replace(row);
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      const { name_index = '', ...unnamed } = row;
      if (!(await this.#isTaken(row.owner_id, name_index))) return undefined;
      if (ifTaken === 'refuse') throw fileExists();
      return this.#files.replace(unnamed);
    }
  }

  /** An expired file that the sweeper has not met loses its name to a claimant. */
  async #isTaken(ownerId: string, nameIndex: string, claimant?: string): Promise<boolean> {
    const holder = await this.#files.find('name', ownerId, nameIndex);
    if (holder === undefined || holder._id === claimant) return false;
    const expired = (row: FileDoc): boolean => hasExpired(row, this.clock.now());
    if (!expired(holder)) return true;
    await this.removal.begin(holder._id, expired);
    return false;
  }
}

export const newBlobId = (): string => randomSecret(BLOB_ID_BYTES).toString('hex');

/** False where `touch` has nothing to change: the row is no longer the one that it was. */
export async function touchRow(
  files: Collection<FileDoc>,
  fileId: string,
  touch: (row: FileDoc) => FileDoc | undefined,
): Promise<boolean> {
  const outcome = { alive: false };
  await update(files, fileId, (row) => {
    const touched = touch(row);
    outcome.alive = touched !== undefined;
    return touched;
  });
  return outcome.alive;
}
