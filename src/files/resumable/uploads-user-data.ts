import { Injectable } from '@nestjs/common';
import { AuditSink, UserDataHandler } from '../../kernel';
import { Sealer, renewRows, valuesUnder } from '../../keys/user-keys';
import { Collection, Store, drain } from '../../store';
import { StagedParts } from './staged-parts';
import { resealedUpload } from './upload-cipher';
import { UploadRemoval } from './upload-removal';
import { UploadDoc, uploadCollection } from './upload.collection';

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
