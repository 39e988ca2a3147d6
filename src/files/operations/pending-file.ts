import { Injectable } from '@nestjs/common';
import { randomSecret } from '../../crypto/index';
import { Clock, DomainError, SecretBytes, failpoint } from '../../kernel/index';
import { OwnerKeys, Sealer } from '../../keys/user-keys/index';
import { Collection, DuplicateKey, Store, update } from '../../store/index';
import { ContentFacts, newFileKey, sealFacts, sealName, wrapFileKey } from '../model/file-encryption';
import { FileRemoval } from './file-removal';
import { ProcessIdentity } from '../content/process-identity';
import { ActiveFile, FileDoc, fileCollection, hasExpired } from '../model/file.collection';
import { Keepalive, uploadGone } from '../content/keepalive';
import { UploadRequest } from '../http/request/upload-fields';

/** A row that waits for its content, and the key to encrypt that with. */
export interface PendingFile {
  readonly row: FileDoc;
  readonly key: SecretBytes;
}

/** What is known once the content is stored. */
export interface StoredContent {
  readonly size: number;
  readonly encryptedSize: number;
  readonly facts: ContentFacts;
  /** Where it lies, if that is not the blob that the row named from the beginning. */
  readonly blobId?: string;
  /** Whether the row has to name `blobId` still: another process that makes the same file gives it another one first. */
  readonly isTarget?: boolean;
  /** What it is encrypted with, if that is not the key that the row has wrapped from the beginning. */
  readonly key?: SecretBytes;
}

/** Who looks after a pending row: this process by its heartbeat, or the row of a resumable upload, which outlives processes. */
export type Keeper = 'heartbeat' | 'upload';

/** What becomes of a file whose name was taken meanwhile: `keep-unnamed` is for what was sent already, and for senders who are not to be told. */
export type IfTaken = 'refuse' | 'keep-unnamed';

type FutureFile = Pick<UploadRequest, 'name' | 'expiresInMs'>;

const FIRST_VERSION = 1;
const BLOB_ID_BYTES = 16;
const ATTEMPTS = 10;

/** The two ends of a new file's row: pending before a byte is stored, active by one conditional write when all of it is durable. */
@Injectable()
export class NewFiles {
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

  /** An early look, so that nobody sends a file for nothing: `activate` decides. @throws DomainError `file_exists` */
  async refuseTakenName(ownerId: string, name: string): Promise<void> {
    const index = await this.sealer.with(ownerId, (keys) => keys.nameIndex(name));
    if (await this.isTaken(ownerId, index)) throw fileExists();
  }

  /** The same look for a file that is about to have another name. @throws DomainError `file_exists` */
  async refuseTaken({ _id, owner_id: ownerId, name_index: index }: FileDoc): Promise<void> {
    if (index !== undefined && (await this.isTaken(ownerId, index, _id))) throw fileExists();
  }

  /**
   * Stores the invisible row, by the wrap protocol: the wrap of the file key is in it before anything is encrypted with that key. The
   * caller destroys the key.
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
            ...this.draft(fileId, ownerId, request),
            ...(keeper === 'heartbeat' && this.signature()),
            ...sealed(keys),
          }),
        again: (row, keys) => this.stillPending(row, () => sealed(keys)),
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

  /** Says that the upload lives, until the caller stops it. */
  keepAlive(fileId: string): Keepalive {
    return new Keepalive(this.#files, fileId, () => this.clock.now());
  }

  /** Makes the file visible under its name. @throws DomainError `file_exists`, `conflict` (the upload was given up meanwhile). */
  async activate(
    fileId: string,
    request: FutureFile,
    content: StoredContent,
    ifTaken: IfTaken = 'refuse',
  ): Promise<ActiveFile> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      // Read before Sealer.with reads the key row: a retire in between has to rewrite the row, and then the replace does not hold.
      const row = await this.#files.find('_id', fileId);
      if (row?.state !== 'pending' || (content.isTarget === true && row.blob_id !== content.blobId)) throw uploadGone();
      const active = await this.sealer.with(row.owner_id, (keys) => this.activated(keys, row, request, content));
      const stored = await this.claimName(active, ifTaken);
      if (stored !== undefined) return stored as ActiveFile;
    }
    throw new DomainError('conflict', { detail: 'Concurrent modification of this file. Retry.' });
  }

  private draft(fileId: string, ownerId: string, request: UploadRequest) {
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

  private signature(): Pick<FileDoc, 'heartbeat_at' | 'worker'> {
    return { heartbeat_at: this.clock.now(), worker: this.worker.id };
  }

  private async stillPending(row: FileDoc, change: () => Partial<FileDoc>): Promise<FileDoc> {
    const stored = await update(this.#files, row._id, (current) =>
      current.state === 'pending' ? { ...current, ...change() } : undefined,
    );
    if (stored?.state !== 'pending') throw uploadGone();
    return stored;
  }

  private activated(keys: OwnerKeys, row: FileDoc, request: FutureFile, content: StoredContent): FileDoc {
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

  /** Stores a row under the name that it has now. Undefined where the row moved on, or where the name has only just become free. @throws DomainError `file_exists` */
  async claimName(row: FileDoc, ifTaken: IfTaken = 'refuse'): Promise<FileDoc | undefined> {
    try {
      return await this.#files.replace(row);
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      const { name_index = '', ...unnamed } = row;
      if (!(await this.isTaken(row.owner_id, name_index))) return undefined;
      if (ifTaken === 'refuse') throw fileExists();
      return this.#files.replace(unnamed);
    }
  }

  /** A file past its time holds its name only until somebody wants it. */
  private async isTaken(ownerId: string, nameIndex: string, claimant?: string): Promise<boolean> {
    const holder = await this.#files.find('name', ownerId, nameIndex);
    if (holder === undefined || holder._id === claimant) return false;
    const expired = (row: FileDoc): boolean => hasExpired(row, this.clock.now());
    if (!expired(holder)) return true;
    await this.removal.begin(holder._id, expired);
    return false;
  }
}

export const newBlobId = (): string => randomSecret(BLOB_ID_BYTES).toString('hex');

const fileExists = (): DomainError => new DomainError('file_exists', { detail: 'A file of this name exists already.' });
