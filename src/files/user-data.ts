import { Injectable } from '@nestjs/common';
import { AuditSink, UserDataHandler } from '../kernel';
import { Renewal, Sealer, renewRows, valuesUnder } from '../keys/user-keys';
import { Collection, Store, drain } from '../store';
import { QuotaLedger } from './content/quota-ledger';
import { resealed, rewrapped } from './model/file-encryption';
import { FileDoc, fileCollection } from './model/file.collection';
import { FileRemoval } from './operations/delete-file';
import { StagedParts } from './resumable/staged-parts';
import { resealedUpload } from './resumable/upload';
import { UploadRemoval } from './resumable/upload-cleanup';
import { UploadDoc, uploadCollection } from './resumable/upload.collection';

/** What happens to a user's files when the user's key changes or the account goes. Blobs are never rewritten: their keys are. */
@Injectable()
export class FilesUserData implements UserDataHandler {
  readonly name = 'files';
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: FileRemoval,
    private readonly usage: QuotaLedger,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  rewrap(userId: string): Promise<number> {
    return this.renewAll(userId, 'wrap_version', rewrapped);
  }

  reencrypt(userId: string): Promise<number> {
    return this.renewAll(userId, 'seal_version', resealed);
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return valuesUnder(userId, versions, {
      rows: this.#files,
      index: 'wrap_version',
      versionsOf: ({ wrap_version, seal_version }) => [wrap_version, seal_version],
      envelopesOf: (row) => [
        row.name,
        ...[row, ...(row.others ?? [])].flatMap(({ file_key, meta }) => [file_key, meta]),
      ],
    });
  }

  /** Needs no key: it works after the user's key has been destroyed as well. Uploads under way lose their rows and end. */
  async eraseUser(userId: string): Promise<number> {
    const erased = await drain(this.#files, 'owner', [userId], {
      row: async (row) => {
        await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
        return 1;
      },
      // A row that fails MAC verification names no blob to be believed; the sweep of blobs without a row finds that.
      forged: async (id) => {
        await this.#files.remove(id);
        return 1;
      },
    });
    await this.usage.erase(userId);
    return erased;
  }

  private async renewAll(
    userId: string,
    field: 'wrap_version' | 'seal_version',
    renew: Renewal<FileDoc>['renew'],
  ): Promise<number> {
    const versionOf = (row: FileDoc): number => row[field];
    const renewal = { rows: this.#files, index: field, versionOf, renew };
    const { count, failed } = await renewRows(this.sealer, userId, renewal);
    for (const fileId of failed) this.report(fileId);
    return count;
  }

  private report(fileId: string): void {
    const what = { action: 'file.rewrap', actor: 'system:files', resource: `file/${fileId}` } as const;
    this.audit.note({ ...what, details: { code: 'decryption_failed' } }, 'failed');
  }
}

/** What happens to a user's uploads when the user's key changes or the account goes. Names and file keys are in the rows of files. */
@Injectable()
export class UploadsUserData implements UserDataHandler {
  readonly name = 'uploads';
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: UploadRemoval,
    private readonly segments: StagedParts,
    private readonly audit: AuditSink,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /** Uploads wrap no key themselves. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  async reencrypt(userId: string): Promise<number> {
    const { count, failed } = await renewRows(this.sealer, userId, {
      rows: this.#rows,
      index: 'seal_version',
      versionOf: (row) => row.seal_version,
      renew: resealedUpload,
    });
    for (const id of failed) this.report(id);
    return count;
  }

  countByKeyVersion(userId: string, versions: readonly number[]): Promise<readonly number[]> {
    return valuesUnder(userId, versions, {
      rows: this.#rows,
      index: 'seal_version',
      versionsOf: (row) => [row.seal_version],
      envelopesOf: ({ details, digest }) => [details, digest],
    });
  }

  /** Needs no key. Attempts under way find their row gone. */
  eraseUser(userId: string): Promise<number> {
    return drain(this.#rows, 'owner', [userId], {
      row: async (row) => {
        await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
        return 1;
      },
      // The rows that say whose blobs they are have seals of their own.
      forged: async (id) => {
        await this.segments.dropAll(id);
        await this.#rows.remove(id);
        return 1;
      },
    });
  }

  private report(id: string): void {
    const what = { action: 'file.rewrap', actor: 'system:files', resource: `upload/${id}` } as const;
    this.audit.note({ ...what, details: { code: 'decryption_failed' } }, 'failed');
  }
}
