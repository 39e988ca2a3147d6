import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { Clock, DomainError, FirstFault } from '../kernel';
import { Collection, DuplicateKey, Store, update } from '../store';
import { restOf } from './content-versions';
import { FileDoc, fileCollection } from './file.collection';
import { FileUsageDoc, UsageMark, fileUsageCollection } from './usage.collection';

const BATCH = 100;

type Marks = FileUsageDoc['marks'];

/**
 * The sum of what an owner's files take, held against the quota by compare-and-set: uploads that race cannot pass it together. The sum and
 * a file's row are two documents, so each change leaves a mark that names the content (content-versions, `usageMark`) in the same write; a
 * change that finds its mark has been made before. `settle` drops the mark once the file is at rest, and `prune` does so for processes that died.
 */
@Injectable()
export class UsageLedger {
  readonly #usage: Collection<FileUsageDoc>;
  readonly #files: Collection<FileDoc>;
  readonly #quota: number;

  constructor(
    store: Store,
    private readonly clock: Clock,
    @Inject(CONFIG) config: Config,
  ) {
    this.#usage = store.collection(fileUsageCollection);
    this.#files = store.collection(fileCollection);
    this.#quota = config.files.userQuota ?? Infinity;
  }

  /** Bytes that the owner may still add. A first look: `add` decides. */
  async left(ownerId: string): Promise<number> {
    if (this.#quota === Infinity) return Infinity;
    const usage = await this.#usage.find('_id', ownerId);
    return Math.max(0, this.#quota - (usage?.bytes ?? 0));
  }

  /** Counts a file that is about to become visible. @throws DomainError `quota_exceeded` */
  async add(ownerId: string, fileId: string, bytes: number): Promise<void> {
    await this.change(ownerId, (usage) => {
      if (usage.marks[fileId] !== undefined) return undefined;
      const sum = usage.bytes + bytes;
      if (sum > this.#quota) throw quotaExceeded();
      return this.marked(usage, sum, fileId, { change: 'added', bytes });
    });
  }

  /** Gives back the share of a file that goes. `bytes` is what a file that was visible takes; undefined for one that never was. */
  async release(ownerId: string, fileId: string, bytes: number | undefined): Promise<void> {
    await this.change(ownerId, (usage) => {
      const mark = usage.marks[fileId];
      if (mark?.change === 'released') return undefined;
      const share = mark?.bytes ?? bytes;
      if (share === undefined) return undefined;
      return this.marked(usage, Math.max(0, usage.bytes - share), fileId, { change: 'released', bytes: share });
    });
  }

  /** The file is at rest: visible, or its row is gone. */
  async settle(ownerId: string, ...fileIds: readonly string[]): Promise<void> {
    await update(this.#usage, ownerId, (usage) => {
      const kept = Object.entries(usage.marks).filter(([fileId]) => !fileIds.includes(fileId));
      if (kept.length === Object.keys(usage.marks).length) return undefined;
      return withMarks(usage, Object.fromEntries(kept));
    });
  }

  /** Brings marks from before `before` (ms) to their end where the file is at rest, past those where that fails. For the sweeper. */
  async prune(before: number): Promise<void> {
    const faults = new FirstFault();
    for (let after: string | undefined; ;) {
      const options = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#usage.list('marked', [], options);
      const due = page.items.filter((usage) => (usage.marked_since ?? Infinity) < before);
      for (const usage of due) {
        const old = Object.entries(usage.marks).filter(([, mark]) => mark.at < before);
        for (const [fileId] of old) await faults.keep(() => this.pruneMark(usage._id, fileId));
      }
      if (due.length === 0 || page.next === undefined) break;
      after = page.next;
    }
    faults.tell();
  }

  /** For the end of an account. */
  async erase(ownerId: string): Promise<void> {
    await this.#usage.remove(ownerId);
  }

  private async pruneMark(ownerId: string, mark: string): Promise<void> {
    const [fileId = '', version = '1'] = mark.split('.');
    const rest = restOf(await this.#files.find('_id', fileId), Number(version));
    if (rest === 'moves') return;
    // Not there: its writer slept through the removal and counted it afterwards. (A share that was given back is not given twice.)
    if (rest === 'absent') await this.release(ownerId, mark, undefined);
    await this.settle(ownerId, mark);
  }

  private marked(usage: FileUsageDoc, bytes: number, fileId: string, mark: Omit<UsageMark, 'at'>): FileUsageDoc {
    return withMarks({ ...usage, bytes }, { ...usage.marks, [fileId]: { ...mark, at: this.clock.now() } });
  }

  private async change(ownerId: string, change: (usage: FileUsageDoc) => FileUsageDoc | undefined): Promise<void> {
    if ((await update(this.#usage, ownerId, change)) !== undefined) return;
    await this.#usage.insert({ _id: ownerId, bytes: 0, marks: {} }).catch((error: unknown) => {
      if (!(error instanceof DuplicateKey)) throw error;
    });
    await update(this.#usage, ownerId, change);
  }
}

export const quotaExceeded = (): DomainError =>
  new DomainError('quota_exceeded', { detail: 'The file would pass the quota of this account.' });

function withMarks(usage: FileUsageDoc, marks: Marks): FileUsageDoc {
  const { marked_since: _, ...rest } = usage;
  const times = Object.values(marks).map((mark) => mark.at);
  return { ...rest, marks, ...(times.length > 0 && { marked_since: Math.min(...times) }) };
}
