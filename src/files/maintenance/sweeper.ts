import { Injectable } from '@nestjs/common';
import { AuditAction, AuditSink, Clock, ErrorCollector, MINUTE, Unchanged } from '../../kernel';
import { Collection, Store } from '../../store';
import { ProcessIdentity } from '../content/keepalive';
import { QuotaLedger } from '../content/quota-ledger';
import { FileDoc, OtherContent, fileCollection, hasExpired, isPurged } from '../model/file.collection';
import { FileRemoval } from '../operations/delete-file';

/**
 * Six beats. An upload that this process saw silent for that long is dead; one that is not loses
 * its row and ends.
 */
const DEAD_AFTER = 2 * MINUTE;
const BATCH = 100;
/**
 * Rows removed at once, with one write for the shares of an owner: few enough not to delay
 * requests.
 */
const AT_ONCE = 50;

/**
 * Removes what time and crashes leave: expired files, old trash, dead uploads, removals that
 * stopped half-way.
 */
@Injectable()
export class FilesSweeper {
  readonly #files: Collection<FileDoc>;
  readonly #watch: Unchanged;

  constructor(
    store: Store,
    private readonly removal: FileRemoval,
    private readonly quota: QuotaLedger,
    private readonly worker: ProcessIdentity,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
    this.#watch = new Unchanged(clock);
  }

  /** Removes a file's key, blob and row within a minute of its expiry. */
  async sweep(): Promise<void> {
    const faults = new ErrorCollector();
    await faults.run(() => this.#sweepDead());
    await faults.run(() => this.#sweepExpired());
    await faults.run(() => this.#sweepTrash());
    await faults.run(() => this.quota.prune(DEAD_AFTER));
    faults.throwFirst();
  }

  /** Uploads that died and removals that stopped, of files and of single contents. */
  async #sweepDead(): Promise<void> {
    const looked = new Set<string>();
    const isDead = (work: FileDoc | OtherContent): boolean => {
      if (work.heartbeat_at === undefined) return false;
      looked.add(work.blob_id);
      const silentMs = this.#watch.ms(work.blob_id, `${work.heartbeat_at} ${work.worker ?? ''}`);
      return silentMs >= DEAD_AFTER || this.worker.isGone(work);
    };
    await this.#sweepIndex({
      index: 'heartbeat',
      due: (row) => (stays(row) ? (row.others ?? []).filter(isDead).length > 0 : isDead(row)),
      tidy: async (row) => {
        await this.removal.dropContents(row._id, isDead);
      },
    });
    this.#watch.keepOnly(looked);
  }

  #sweepExpired(): Promise<void> {
    return this.#sweepIndex({
      index: 'expiry',
      due: (row) => hasExpired(row, this.clock.now()),
      action: 'file.expire',
    });
  }

  #sweepTrash(): Promise<void> {
    return this.#sweepIndex({ index: 'purge', due: (row) => isPurged(row, this.clock.now()), action: 'file.purge' });
  }

  /**
   * Rows in the order of a time, past those that fail, page by page up to one in which nothing is
   * due. With `tidy` all pages: those times are of many clocks.
   */
  async #sweepIndex(going: Going): Promise<void> {
    const { index, due, tidy } = going;
    const faults = new ErrorCollector();
    for (let after: string | undefined; ;) {
      const options = { limit: BATCH, onTampered: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#files.list(index, [], options);
      const rows = page.items.filter(due);
      for (let at = 0; at < rows.length; at += AT_ONCE) {
        await this.#clear(rows.slice(at, at + AT_ONCE), going, faults);
      }
      if ((rows.length === 0 && tidy === undefined) || page.next === undefined) break;
      after = page.next;
    }
    faults.throwFirst();
  }

  async #clear(rows: readonly FileDoc[], going: Going, faults: ErrorCollector): Promise<void> {
    const gone: FileDoc[] = [];
    const begin = async (row: FileDoc): Promise<void> => {
      if (going.tidy !== undefined && stays(row)) return going.tidy(row);
      const begun = row.state === 'deleting' ? row : await this.#begin(row, going);
      if (begun !== undefined) gone.push(begun);
    };
    await Promise.all(rows.map((row) => faults.run(() => begin(row))));
    await faults.run(() => this.removal.finish(...gone));
  }

  /**
   * Logs the intent first, where there is an `action`. The intents of rows that go together are one
   * commit.
   */
  async #begin(row: FileDoc, { due, action }: Going): Promise<FileDoc | undefined> {
    if (action === undefined) return this.removal.begin(row._id, due);
    const what = { action, actor: 'system:files', resource: `file/${row._id}` } as const;
    const act = await this.audit.begin({ ...what, details: { owner: row.owner_id } });
    try {
      const begun = await this.removal.begin(row._id, due);
      act.close(begun === undefined ? 'refused' : 'done');
      return begun;
    } catch (error) {
      act.close('failed');
      throw error;
    }
  }
}

/** Which rows are removed, and how. */
interface Going {
  readonly index: string;
  readonly due: (row: FileDoc) => boolean;
  /** For rows that stay, and lose a part. */
  readonly tidy?: (row: FileDoc) => Promise<void>;
  /** The action in the audit log; none for what no user ever saw. */
  readonly action?: AuditAction;
}

const stays = (row: FileDoc): boolean => row.state === 'active' || row.state === 'trashed';
