import { Injectable } from '@nestjs/common';
import { Clock, ErrorCollector, Unchanged } from '../../kernel';
import { FileUsageDoc, GatheredChanges, OwnerUsage, RecordUsage, UsageMark, isEmptyUsage, takenOf } from '../../quota';
import { Collection, Store, scanRows } from '../../store';
import { uploadGone } from '../model/file';
import { FileDoc, fileCollection } from '../model/file.collection';
import { isAwaited, quotaState } from '../model/versions';

type Marks = FileUsageDoc['marks'];

/**
 * The share of a content that is given back. `bytes` is undefined for one that was never visible.
 */
export interface Share {
  readonly mark: string;
  readonly bytes: number | undefined;
}

/**
 * Counts an owner's files against the quota by compare-and-set, so that racing uploads cannot
 * exceed it together; one process counts its own by one write. The sum and a file's row are two
 * documents: each change leaves a mark that names the content (`usageMark`), and a change that
 * finds its mark was made before. `settleAdded` and `settle` drop the mark when the change is
 * complete, and `prune` does so for processes that died.
 */
@Injectable()
export class QuotaLedger {
  readonly #usage: Collection<FileUsageDoc>;
  readonly #files: Collection<FileDoc>;
  readonly #changes: GatheredChanges<FileUsageDoc>;
  readonly #watch: Unchanged;

  constructor(
    store: Store,
    private readonly clock: Clock,
    private readonly usage: OwnerUsage,
    private readonly records: RecordUsage,
  ) {
    this.#usage = usage.rows;
    this.#files = store.collection(fileCollection);
    this.#changes = usage.changes;
    this.#watch = new Unchanged(clock);
  }

  /** Bytes that the owner may still add, for an early refusal; `add` decides. */
  async left(ownerId: string): Promise<number> {
    const { quota } = this.usage;
    if (quota === Infinity) return Infinity;
    await this.records.ensureCounted(ownerId);
    return Math.max(0, quota - takenOf(await this.usage.find(ownerId)));
  }

  /**
   * Counts a content that is about to become visible. Checks an owner's first row again after its
   * write: where nothing waits for the content, as after an erasure of the account, it removes the
   * row.
   * @throws DomainError `quota_exceeded`, `conflict` (given up meanwhile)
   */
  async add(ownerId: string, mark: string, bytes: number): Promise<void> {
    await this.records.ensureCounted(ownerId);
    const wasThere = await this.#changes.make(ownerId, (usage) =>
      this.#added(usage ?? { _id: ownerId, rev: 0, bytes: 0, marks: {} }, mark, bytes),
    );
    if (wasThere || (await this.#isMarkAwaited(mark))) return;
    await this.release(ownerId, [{ mark, bytes: undefined }]);
    await this.settle(ownerId, mark);
    throw uploadGone();
  }

  /** Gives back the shares of contents whose mark says that they were added, by one write. */
  release(ownerId: string, shares: readonly Share[]): Promise<void> {
    return this.releaseFound(ownerId, () => Promise.resolve(shares));
  }

  /**
   * As `release`, for contents whose row says what they take. `find` reads those rows between the
   * read of the sum and its write. A row's mark stays as long as the row, so a share that was given
   * back meanwhile shows by the mark or by a failed write.
   */
  async releaseFound(ownerId: string, find: () => Promise<readonly Share[]>): Promise<void> {
    let shares: readonly Share[] = [];
    await this.#changes.make(
      ownerId,
      (usage) => shares.reduce((sum, share) => sum && this.#released(sum, share), usage),
      async () => {
        shares = await find();
      },
    );
  }

  /**
   * Settles a content that is visible. A mark of a share that was given back stays as long as the
   * row of the content.
   */
  settleAdded(ownerId: string, mark: string): Promise<void> {
    return this.#settleWhere(ownerId, (name, { change }) => name === mark && change === 'added');
  }

  /** Settles contents whose rows are gone. Removes an empty sum. */
  settle(ownerId: string, ...marks: readonly string[]): Promise<void> {
    return this.#settleWhere(ownerId, (name) => marks.includes(name));
  }

  async #settleWhere(ownerId: string, ends: (name: string, mark: UsageMark) => boolean): Promise<void> {
    await this.#changes.make(ownerId, (usage) => {
      const kept = Object.entries(usage?.marks ?? {}).filter(([name, mark]) => !ends(name, mark));
      if (usage === undefined || (kept.length === Object.keys(usage.marks).length && !isEmptyUsage(usage)))
        return usage;
      const settled = withMarks(usage, Object.fromEntries(kept));
      return isEmptyUsage(settled) ? undefined : settled;
    });
  }

  /**
   * For the sweeper: settles marks that this process has seen unchanged for `ms`, past those that
   * fail.
   */
  async prune(ms: number): Promise<void> {
    const faults = new ErrorCollector();
    const looked = new Set<string>();
    const isOld = (ownerId: string, name: string, { change, at }: UsageMark): boolean => {
      const id = `${ownerId} ${name}`;
      looked.add(id);
      return this.#watch.ms(id, `${change} ${at}`) >= ms;
    };
    for await (const { _id: ownerId, marks } of scanRows(this.#usage, 'marked', [])) {
      const old = Object.entries(marks).filter(([name, mark]) => isOld(ownerId, name, mark));
      for (const [name] of old) await faults.run(() => this.#pruneMark(ownerId, name));
    }
    this.#watch.keepOnly(looked);
    faults.throwFirst();
  }

  /** For the end of an account. */
  async erase(ownerId: string): Promise<void> {
    await this.#usage.remove(ownerId);
  }

  async #pruneMark(ownerId: string, mark: string): Promise<void> {
    const { fileId, version } = contentOf(mark);
    const rest = quotaState(await this.#files.find('_id', fileId), version);
    if (rest === 'moves') return;
    // Absent: its writer slept through the removal, and counted it afterwards. No share is given
    // back twice.
    if (rest === 'absent') await this.release(ownerId, [{ mark, bytes: undefined }]);
    await (rest === 'absent' ? this.settle(ownerId, mark) : this.settleAdded(ownerId, mark));
  }

  async #isMarkAwaited(mark: string): Promise<boolean> {
    const { fileId, version } = contentOf(mark);
    return isAwaited(await this.#files.find('_id', fileId), version);
  }

  #added(usage: FileUsageDoc, mark: string, bytes: number): FileUsageDoc {
    if (usage.marks[mark] !== undefined) return usage;
    this.usage.requireRoom(usage, bytes, 'file');
    return this.#marked(usage, usage.bytes + bytes, mark, { change: 'added', bytes });
  }

  #released(usage: FileUsageDoc, { mark, bytes }: Share): FileUsageDoc {
    const before = usage.marks[mark];
    const share = before?.bytes ?? bytes;
    if (before?.change === 'released' || share === undefined) return usage;
    return this.#marked(usage, Math.max(0, usage.bytes - share), mark, { change: 'released', bytes: share });
  }

  #marked(usage: FileUsageDoc, bytes: number, fileId: string, mark: Omit<UsageMark, 'at'>): FileUsageDoc {
    return withMarks({ ...usage, bytes }, { ...usage.marks, [fileId]: { ...mark, at: this.clock.now() } });
  }
}

/** The content that a mark names, as `usageMark` made it. */
function contentOf(mark: string): { readonly fileId: string; readonly version: number } {
  const [fileId = '', version = '1'] = mark.split('.');
  return { fileId, version: Number(version) };
}

function withMarks(usage: FileUsageDoc, marks: Marks): FileUsageDoc {
  const { marked_since: _, ...rest } = usage;
  const times = Object.values(marks).map((mark) => mark.at);
  return { ...rest, marks, ...(times.length > 0 && { marked_since: Math.min(...times) }) };
}
