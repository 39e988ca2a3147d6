import { Injectable, OnModuleInit } from '@nestjs/common';
import { BlobStore } from '../../blobs/index';
import { Scheduler } from '../../jobs/index';
import {
  AuditAction,
  AuditSink,
  Clock,
  DAY,
  ErrorCollector,
  HOUR,
  MINUTE,
  SECOND,
  Unchanged,
} from '../../kernel/index';
import { Collection, Store } from '../../store/index';
import { BlobOwnership } from '../content/blob-ownership';
import { FileRemoval } from '../operations/file-removal';
import { ProcessIdentity } from '../content/process-identity';
import { FileDoc, OtherContent, fileCollection, hasExpired, isPurged } from '../model/file.collection';
import { QuotaLedger } from '../content/quota-ledger';

/** Six heartbeats: an upload that this process saw silent for that long is dead, and one that is not finds its row gone and ends. */
const DEAD_AFTER = 2 * MINUTE;
const BATCH = 100;
/** Rows removed at once, with one write for the shares of an owner: few enough that requests are not kept waiting. */
const AT_ONCE = 50;

/** What the sweeper works with. */
@Injectable()
export class SweepTools {
  constructor(
    readonly blobs: BlobStore,
    readonly removal: FileRemoval,
    readonly usage: QuotaLedger,
    readonly worker: ProcessIdentity,
    readonly refs: BlobOwnership,
  ) {}
}

/** Clears away what time and crashes leave: expired files, old trash, dead uploads, removals that stopped half-way, blobs of nobody. */
@Injectable()
export class FilesSweeper implements OnModuleInit {
  readonly #files: Collection<FileDoc>;
  readonly #watch: Unchanged;

  constructor(
    store: Store,
    private readonly tools: SweepTools,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
    this.#watch = new Unchanged(clock);
  }

  onModuleInit(): void {
    this.scheduler.every('files.sweep', 20 * SECOND, () => this.sweep());
    this.scheduler.every('files.orphans', HOUR, () => this.sweepOrphans());
  }

  /** Within a minute of its time a file's key, blob and row are gone. */
  async sweep(): Promise<void> {
    const faults = new ErrorCollector();
    await faults.run(() => this.sweepDead());
    await faults.run(() => this.sweepExpired());
    await faults.run(() => this.sweepTrash());
    await faults.run(() => this.tools.usage.prune(DEAD_AFTER));
    faults.throwFirst();
  }

  /**
   * Whoever names a blob does so before it is there and until it is gone, so one that nobody names belongs to nobody. It goes when it is
   * older than a day all the same: whoever started with the wrong database, or restored one, has that long to see it.
   */
  async sweepOrphans(): Promise<void> {
    const faults = new ErrorCollector();
    await faults.run(async () => {
      for await (const id of this.tools.blobs.list({ olderThanMs: DAY })) await faults.run(() => this.removeOrphan(id));
    });
    await faults.run(() => this.tools.blobs.sweep(DAY));
    faults.throwFirst();
  }

  private async removeOrphan(id: string): Promise<void> {
    const { blobs, refs } = this.tools;
    if (await refs.isHeld(id)) return;
    await blobs.remove(id);
    await refs.release(id);
  }

  /** Uploads that died, removals that stopped; in files that stay also contents that were to come or to go. */
  private async sweepDead(): Promise<void> {
    const looked = new Set<string>();
    const isDead = (work: FileDoc | OtherContent): boolean => {
      if (work.heartbeat_at === undefined) return false;
      looked.add(work.blob_id);
      const silentMs = this.#watch.ms(work.blob_id, `${work.heartbeat_at} ${work.worker ?? ''}`);
      return silentMs >= DEAD_AFTER || this.tools.worker.isGone(work);
    };
    await this.sweepIndex({
      index: 'heartbeat',
      due: (row) => (stays(row) ? (row.others ?? []).filter(isDead).length > 0 : isDead(row)),
      tidy: async (row) => {
        await this.tools.removal.dropContents(row._id, isDead);
      },
    });
    this.#watch.keepOnly(looked);
  }

  private sweepExpired(): Promise<void> {
    return this.sweepIndex({
      index: 'expiry',
      due: (row) => hasExpired(row, this.clock.now()),
      action: 'file.expire',
    });
  }

  private sweepTrash(): Promise<void> {
    return this.sweepIndex({ index: 'purge', due: (row) => isPurged(row, this.clock.now()), action: 'file.purge' });
  }

  /**
   * Rows in the order of a time, past those that fail, page by page up to one in which nothing is due; all of them with `tidy`, which is for
   * rows that stay: those times are of many clocks.
   */
  private async sweepIndex(going: Going): Promise<void> {
    const { index, due, tidy } = going;
    const faults = new ErrorCollector();
    for (let after: string | undefined; ;) {
      const options = { limit: BATCH, onTampered: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#files.list(index, [], options);
      const rows = page.items.filter(due);
      for (let at = 0; at < rows.length; at += AT_ONCE) {
        await this.clear(rows.slice(at, at + AT_ONCE), going, faults);
      }
      if ((rows.length === 0 && tidy === undefined) || page.next === undefined) break;
      after = page.next;
    }
    faults.throwFirst();
  }

  private async clear(rows: readonly FileDoc[], going: Going, faults: ErrorCollector): Promise<void> {
    const gone: FileDoc[] = [];
    const begin = async (row: FileDoc): Promise<void> => {
      if (going.tidy !== undefined && stays(row)) return going.tidy(row);
      const begun = row.state === 'deleting' ? row : await this.begin(row, going);
      if (begun !== undefined) gone.push(begun);
    };
    await Promise.all(rows.map((row) => faults.run(() => begin(row))));
    await faults.run(() => this.tools.removal.finish(...gone));
  }

  /** With the intent durable first, where the log is to have it: those of rows that go at once are one commit. */
  private async begin(row: FileDoc, { due, action }: Going): Promise<FileDoc | undefined> {
    if (action === undefined) return this.tools.removal.begin(row._id, due);
    const what = { action, actor: 'system:files', resource: `file/${row._id}` } as const;
    const act = await this.audit.begin({ ...what, details: { owner: row.owner_id } });
    try {
      const begun = await this.tools.removal.begin(row._id, due);
      act.close(begun === undefined ? 'refused' : 'done');
      return begun;
    } catch (error) {
      act.close('failed');
      throw error;
    }
  }
}

/** Which rows go, and how. */
interface Going {
  readonly index: string;
  readonly due: (row: FileDoc) => boolean;
  /** For rows of which a part goes. */
  readonly tidy?: (row: FileDoc) => Promise<void>;
  /** What the audit log calls it; none for what no user ever saw. */
  readonly action?: AuditAction;
}

const stays = (row: FileDoc): boolean => row.state === 'active' || row.state === 'trashed';
