import { Injectable } from '@nestjs/common';
import { AuditSink, UserDataHandler } from '../kernel';
import { EncryptedRows, Sealer } from '../keys/user-keys';
import { Collection, Store, drain } from '../store';
import { QuotaLedger } from './content/quota-ledger';
import { reencrypted, rewrapped } from './model/file-encryption';
import { FileDoc, fileCollection } from './model/file.collection';
import { FileRemoval } from './operations/delete-file';
import { StagedParts } from './resumable/staged-parts';
import { reencryptedUpload } from './resumable/upload';
import { UploadRemoval } from './resumable/upload-cleanup';
import { UploadDoc, uploadCollection } from './resumable/upload.collection';

/**
 * Files when their owner's key changes or the account is erased. Blobs are never rewritten: their
 * keys are rewrapped.
 */
@Injectable()
export class FilesUserData implements UserDataHandler {
  readonly name = 'files';
  readonly collections = [fileCollection.name];
  readonly #files: Collection<FileDoc>;
  readonly #keys: EncryptedRows<FileDoc>;
  readonly #values: EncryptedRows<FileDoc>;

  constructor(
    store: Store,
    sealer: Sealer,
    private readonly removal: FileRemoval,
    private readonly quota: QuotaLedger,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
    const common = { rows: this.#files, byOwner: 'owner', envelopesOf };
    this.#keys = new EncryptedRows(sealer, {
      ...common,
      byVersion: 'wrap_version',
      versionOf: (row) => row.wrap_version,
      otherVersions: (row) => [row.seal_version],
      reencrypt: rewrapped,
    });
    this.#values = new EncryptedRows(sealer, {
      ...common,
      byVersion: 'seal_version',
      versionOf: (row) => row.seal_version,
      otherVersions: (row) => [row.wrap_version],
      reencrypt: reencrypted,
    });
  }

  rewrap(userId: string): Promise<number> {
    return this.#counted(this.#keys, userId);
  }

  reencrypt(userId: string): Promise<number> {
    return this.#counted(this.#values, userId);
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return this.#keys.countByKeyVersion(userId, versions);
  }

  /**
   * Needs no key, so it works after the user's key has been destroyed. Uploads under way lose their
   * rows and end.
   */
  async eraseUser(userId: string): Promise<number> {
    const erased = await drain(this.#files, 'owner', [userId], {
      row: async (row) => {
        await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
        return 1;
      },
      // A row that fails MAC verification names no blob to be believed: the sweep of orphans
      // removes that.
      forged: async (id) => {
        await this.#files.remove(id);
        return 1;
      },
    });
    await this.quota.erase(userId);
    return erased;
  }

  async #counted(rows: EncryptedRows<FileDoc>, userId: string): Promise<number> {
    const { count, failed } = await rows.reencrypt(userId);
    for (const id of failed) reportDamage(this.audit, `file/${id}`);
    return count;
  }
}

/**
 * Uploads when their owner's key changes or the account is erased. Their names and file keys are in
 * rows of files.
 */
@Injectable()
export class UploadsUserData implements UserDataHandler {
  readonly name = 'uploads';
  readonly collections = [uploadCollection.name];
  readonly #uploads: Collection<UploadDoc>;
  readonly #values: EncryptedRows<UploadDoc>;

  constructor(
    store: Store,
    sealer: Sealer,
    private readonly removal: UploadRemoval,
    private readonly parts: StagedParts,
    private readonly audit: AuditSink,
  ) {
    this.#uploads = store.collection(uploadCollection);
    this.#values = new EncryptedRows(sealer, {
      rows: this.#uploads,
      byVersion: 'seal_version',
      byOwner: 'owner',
      versionOf: (row) => row.seal_version,
      envelopesOf: ({ details, digest }) => [details, digest],
      reencrypt: reencryptedUpload,
    });
  }

  async reencrypt(userId: string): Promise<number> {
    const { count, failed } = await this.#values.reencrypt(userId);
    for (const id of failed) reportDamage(this.audit, `upload/${id}`);
    return count;
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return this.#values.countByKeyVersion(userId, versions);
  }

  /** Needs no key. Attempts under way lose their row and end. */
  eraseUser(userId: string): Promise<number> {
    return drain(this.#uploads, 'owner', [userId], {
      row: async (row) => {
        await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
        return 1;
      },
      // References of blobs have MACs of their own.
      forged: async (id) => {
        await this.parts.dropAll(id);
        await this.#uploads.remove(id);
        return 1;
      },
    });
  }
}

const envelopesOf = (row: FileDoc): readonly (string | undefined)[] => [
  row.name,
  ...[row, ...(row.others ?? [])].flatMap(({ file_key, meta }) => [file_key, meta]),
];

function reportDamage(audit: AuditSink, resource: string): void {
  const what = { action: 'file.rewrap', actor: 'system:files', resource } as const;
  audit.note({ ...what, details: { code: 'decryption_failed' } }, 'failed');
}
