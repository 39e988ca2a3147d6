import { Injectable, OnModuleInit } from '@nestjs/common';
import { BlobStore } from '../blobs';
import { Scheduler } from '../jobs';
import { Clock, HOUR, MINUTE, SECOND, isDomainError } from '../kernel';
import { Collection, Store } from '../store';
import { FileRemoval } from './file-removal';
import { FileWorker } from './file-worker';
import { FileDoc, fileCollection, hasExpired } from './file.collection';
import { UploadBlobs } from './uploads/upload-blobs';
import { UsageLedger } from './usage-ledger';

/** Six heartbeats: an upload that was silent that long is dead, and one that is not finds its row gone and ends. */
const DEAD_AFTER = 2 * MINUTE;
const BATCH = 100;
/** Rows removed at once: thousands that expire together must not stand in the way of requests. */
const AT_ONCE = 4;

/** What the sweeper works with. */
@Injectable()
export class SweepTools {
  constructor(
    readonly blobs: BlobStore,
    readonly removal: FileRemoval,
    readonly usage: UsageLedger,
    readonly worker: FileWorker,
    readonly uploads: UploadBlobs,
  ) {}
}

/** Clears away what time and crashes leave: expired files, dead uploads, removals that stopped half-way, blobs without a row. */
@Injectable()
export class FilesSweeper implements OnModuleInit {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly tools: SweepTools,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  onModuleInit(): void {
    this.scheduler.every('files.sweep', 20 * SECOND, () => this.sweep());
    this.scheduler.every('files.orphans', HOUR, () => this.sweepOrphans());
  }

  /** Within a minute of its time a file's key, blob and row are gone. */
  async sweep(): Promise<void> {
    await this.sweepDead();
    await this.sweepExpired();
    await this.tools.usage.prune(this.clock.now() - DEAD_AFTER);
  }

  /** A row is there before its blob and goes after it, so a blob without one belongs to nobody. */
  async sweepOrphans(): Promise<void> {
    for await (const id of this.tools.blobs.list()) {
      if (!(await this.hasRow(id))) await this.tools.blobs.remove(id);
    }
  }

  private sweepDead(): Promise<void> {
    const before = this.clock.now() - DEAD_AFTER;
    return this.sweepIndex('heartbeat', (row) => (row.heartbeat_at ?? Infinity) < before || this.isOrphan(row));
  }

  private isOrphan(row: FileDoc): boolean {
    return row.heartbeat_at !== undefined && this.tools.worker.isGone(row);
  }

  private sweepExpired(): Promise<void> {
    return this.sweepIndex('expiry', (row) => hasExpired(row, this.clock.now()));
  }

  /** Rows in the order of a time, page by page up to one in which nothing is due. */
  private async sweepIndex(index: string, due: (row: FileDoc) => boolean): Promise<void> {
    for (let after: string | undefined; ;) {
      const options = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#files.list(index, [], options);
      const rows = page.items.filter(due);
      for (let at = 0; at < rows.length; at += AT_ONCE) {
        await Promise.all(rows.slice(at, at + AT_ONCE).map((row) => this.remove(row, due)));
      }
      if (rows.length === 0 || page.next === undefined) return;
      after = page.next;
    }
  }

  private async remove(row: FileDoc, due: (row: FileDoc) => boolean): Promise<void> {
    const begun = row.state === 'deleting' ? row : await this.tools.removal.begin(row._id, due);
    if (begun !== undefined) await this.tools.removal.finish(begun);
  }

  private async hasRow(blobId: string): Promise<boolean> {
    try {
      return (await this.#files.find('blob', blobId)) !== undefined || (await this.tools.uploads.needs(blobId));
    } catch (error) {
      // A row that does not hold its seal is still one: somebody has to look at it, and the blob stays until then.
      if (isDomainError(error, 'integrity_failed')) return true;
      throw error;
    }
  }
}
