import { Injectable } from '@nestjs/common';
import { BlobStore } from '../blobs';
import { Clock, failpoint } from '../kernel';
import { SharedResources } from '../sharing';
import { Collection, Store, update } from '../store';
import { FileDoc, fileCollection } from './file.collection';
import { FileWorker } from './file-worker';
import { UsageLedger } from './usage-ledger';

/**
 * How a file goes, in an order that may stop anywhere and be taken up again: the row first, which ends each access and drops the key, then the
 * share of the quota, the blob, and the row itself. Also for uploads that came to nothing.
 */
@Injectable()
export class FileRemoval {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
    private readonly usage: UsageLedger,
    private readonly worker: FileWorker,
    private readonly shared: SharedResources,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * From here on nobody sees the file, its name is free and its key is gone. `applies` looks at the row as it is now.
   * @returns the row for `finish`; undefined where it does not apply (any more).
   */
  async begin(fileId: string, applies: (row: FileDoc) => boolean): Promise<FileDoc | undefined> {
    const outcome = { begun: false };
    const row = await update(this.#files, fileId, (current) => {
      outcome.begun = current.state !== 'deleting' && applies(current);
      return outcome.begun ? this.deleting(current) : undefined;
    });
    failpoint('file.deleting');
    return outcome.begun ? row : undefined;
  }

  /** Takes a row that `begin` made to its end. May be repeated, and by several at once. */
  async finish(row: FileDoc): Promise<void> {
    await this.shared.forget({ type: 'file', id: row._id });
    await this.usage.release(row.owner_id, row._id, row.size);
    failpoint('file.released');
    await this.blobs.remove(row.blob_id);
    failpoint('file.blob-removed');
    await this.#files.remove(row._id);
    await this.usage.settle(row.owner_id, row._id);
  }

  private deleting(row: FileDoc): FileDoc {
    const { name_index: _name, file_key: _key, meta: _meta, expires_at: _expiry, ...rest } = row;
    return { ...rest, state: 'deleting', heartbeat_at: this.clock.now(), worker: this.worker.id };
  }
}
