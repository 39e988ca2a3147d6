import { failpoint } from '../../kernel';
import { BlobStore } from '../blob-store';
import { BlobMover, NewHash, turnedRound } from './blob-mover';
import { BlobRelocations } from './blob-plan';
import { RelocatableBlobStore } from './relocatable-blob-store';

export interface MoveProgress {
  readonly from: string;
  readonly to: string;
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  readonly bytes: number;
}

/**
 * Blobs on their way at once: enough to hide the pauses of a store, few enough not to stand in the
 * way of the service.
 */
const AT_ONCE = 3;

/**
 * Moves all blobs of an installation while it serves (RelocatableBlobStore says why that is safe).
 * May be killed anywhere and run again: the document keeps saying where to, and what was moved is
 * not listed at the former place any more.
 */
export class BlobMigration {
  #started: MoveProgress | undefined;

  constructor(
    private readonly blobs: RelocatableBlobStore,
    private readonly plans: BlobRelocations,
    private readonly newHash: NewHash,
  ) {}

  /**
   * Resolves with the last progress; `failed` above 0 means that the move has not ended. @throws
   * StartupError, DomainError
   */
  async run(to: string, onProgress: (progress: MoveProgress) => void): Promise<MoveProgress> {
    const { store: target, location } = await this.blobs.target(to);
    const plan = await this.plans.begin(to, location);
    failpoint('blobs.move-begun');
    this.#started = { from: plan.current, to, done: 0, total: 0, failed: 0, bytes: 0 };
    if (plan.target === undefined) return this.#started;
    const source = await this.blobs.located(plan.current);
    // A second pass finds what puts that had begun before the first one left, if their processes
    // died before they moved it.
    for (let pass = 0; pass < 2; pass += 1) await this.#pass(source, target, onProgress);
    if (this.#progress.failed === 0) await this.plans.end(to);
    return this.#progress;
  }

  get #progress(): MoveProgress {
    if (this.#started === undefined) throw new TypeError('the migration has not begun');
    return this.#started;
  }

  async #pass(source: BlobStore, target: BlobStore, onProgress: (progress: MoveProgress) => void): Promise<void> {
    let count = 0;
    for await (const _ of source.list()) count += 1;
    this.#count({ total: this.#progress.done + count, failed: -this.#progress.failed });
    onProgress(this.#progress);
    const isMeant = async (): Promise<boolean> => {
      const plan = await this.plans.current();
      return (plan.target ?? plan.current) === this.#progress.to;
    };
    const mover = new BlobMover(source, target, this.newHash, isMeant);
    const running = new Set<Promise<void>>();
    for await (const id of source.list()) {
      const moving = this.#moveOne(mover, id, onProgress).finally(() => running.delete(moving));
      running.add(moving);
      if (running.size >= AT_ONCE) await Promise.race(running);
    }
    await Promise.all(running);
    if (!(await isMeant())) throw turnedRound();
  }

  async #moveOne(mover: BlobMover, id: string, onProgress: (progress: MoveProgress) => void): Promise<void> {
    try {
      this.#count({ bytes: (await mover.move(id)) ?? 0, done: 1 });
    } catch {
      // Counted and gone on with: one blob that cannot be read must not hold up the others. The
      // next run tries it again.
      this.#count({ failed: 1 });
    }
    onProgress(this.#progress);
  }

  #count(more: Partial<Record<'done' | 'failed' | 'bytes', number>> & { readonly total?: number }): void {
    const { done, failed, bytes, ...rest } = this.#progress;
    this.#started = {
      ...rest,
      total: more.total ?? rest.total,
      done: done + (more.done ?? 0),
      failed: failed + (more.failed ?? 0),
      bytes: bytes + (more.bytes ?? 0),
    };
  }
}
