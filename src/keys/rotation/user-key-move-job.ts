import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { JobFailed, JobRunner, AdaptiveBatcher, RunningJob } from '../../jobs';
import { AuditSink, failpoint } from '../../kernel';
import { beginUserKeyMove, endUserKeyMove, Store } from '../../store';
import type { UserKeyDoc } from '../user-keys';
import { Immovable, RoutedWrapStore } from '../user-keys/wrap-stores';
import { USER_KEY_MOVE_JOB, userKeyMoveData } from './user-key-move';

/** So many passes in a row in which rows changed under the move's hands: it is to be tried later. */
const PASSES = 50;
/** Keys in a step, by how it goes; each is a handful of requests to Vault. */
const STEP = { least: 8, first: 16, most: 64 };
/** Fewer than the sockets of the client: a move leaves some for those who wait for an answer. */
const AT_ONCE = 4;

/** What one run has met; the rows say what is done. */
class Tally {
  done = 0;
  /** Owners whose wraps cannot be moved, and rows that do not hold their seal. */
  readonly failed = new Set<string>();
}

/**
 * Moves the wraps of all user keys, in the order of writes of docs/keys.md. The installation document comes first, so that new owners go to
 * the new place by themselves; then each row is looked at, and those that changed meanwhile once more. Progress is the rows themselves: the
 * whole may be run again after a death at any point.
 */
@Injectable()
export class UserKeyMoveJob implements OnModuleInit {
  readonly #logger = new Logger('UserKeyMove');

  constructor(
    private readonly jobs: JobRunner,
    private readonly homes: RoutedWrapStore,
    private readonly store: Store,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.register();
  }

  /** A replica that cannot reach Vault leaves the job to one that can. */
  register(): void {
    this.jobs.register(USER_KEY_MOVE_JOB, (job) => this.run(job), { accepts: () => this.homes.reachesVault });
  }

  async run(job: RunningJob): Promise<void> {
    const { to } = userKeyMoveData(job.data);
    await this.homes.prepareMove();
    await beginUserKeyMove(this.store, to, () => job.assertLease());
    failpoint('user-key-move.begun');
    await this.#moveAll(job);
    const pins = await endUserKeyMove(this.store, to, () => job.assertLease());
    // Turned round meanwhile: what is true of the rows is for that one to say.
    if (pins.home !== to || pins.to !== undefined) throw new JobFailed('conflict');
    failpoint('user-key-move.settled');
    const intent = { action: 'user-keys.moved', actor: `system:${USER_KEY_MOVE_JOB}`, resource: 'user-keys' } as const;
    this.audit.note({ ...intent, details: { to, done: job.progress.done } }, 'done');
  }

  /**
   * One whole pass after the document names the new place finds each row that was stored before, pending ones included; whoever stores one
   * later sees the document (`WrapStore.settled`). Further passes are for rows that changed under this one's hands.
   */
  async #moveAll(job: RunningJob): Promise<void> {
    const tally = await this.#counted(job);
    for (let pass = 0; pass < PASSES; pass += 1) {
      tally.failed.clear();
      if (await this.#pass(job, tally)) {
        if (tally.failed.size > 0) throw new JobFailed('integrity_failed');
        return;
      }
    }
    throw new JobFailed('conflict');
  }

  /** From the rows, when the job begins or is taken over, so that what a dead process did and did not save is in. */
  async #counted(job: RunningJob): Promise<Tally> {
    const { to, counted } = userKeyMoveData(job.data);
    const tally = new Tally();
    let remaining = 0;
    for await (const _ of this.homes.due(to, () => undefined)) remaining += 1;
    const total = counted ? Math.max(job.progress.total, remaining) : remaining;
    tally.done = total - remaining;
    await job.save({ data: { counted: true }, progress: { total, done: tally.done, failed: 0 } });
    return tally;
  }

  /** True where no row changed meanwhile. */
  async #pass(job: RunningJob, tally: Tally): Promise<boolean> {
    const pace = new AdaptiveBatcher(STEP);
    const due = this.homes.due(userKeyMoveData(job.data).to, (id) => tally.failed.add(id));
    for (let isWhole = true; ;) {
      await job.assertLease();
      const step = await pace.step(async ({ size }) => {
        const rows = await taken(due, size);
        return { count: rows.length, isWhole: await this.#moveSome(job, rows, tally) };
      }, job.signal);
      isWhole &&= step.isWhole;
      if (step.count === 0) return isWhole;
      const { size: failed } = tally.failed;
      const total = Math.max(job.progress.total, tally.done + failed);
      await job.save({ progress: { total, done: tally.done, failed } });
    }
  }

  async #moveSome(job: RunningJob, rows: readonly UserKeyDoc[], tally: Tally): Promise<boolean> {
    let isWhole = true;
    for (let start = 0; start < rows.length && !job.signal.aborted; start += AT_ONCE) {
      const part = rows.slice(start, start + AT_ONCE);
      const moved = await Promise.all(part.map((row) => this.#moveOne(job, row, tally)));
      isWhole &&= moved.every(Boolean);
    }
    return isWhole && !job.signal.aborted;
  }

  /** One owner whose wraps cannot be moved holds up nobody else. */
  async #moveOne(job: RunningJob, row: UserKeyDoc, tally: Tally): Promise<boolean> {
    try {
      const isMoved = await this.homes.move(row, userKeyMoveData(job.data).to);
      if (isMoved) tally.done += 1;
      return isMoved;
    } catch (error) {
      if (!(error instanceof Immovable)) throw error;
      this.#logger.error(`the key of owner ${row._id} stays where it is: ${error.detail ?? ''}`);
      tally.failed.add(row._id);
      return true;
    }
  }
}

async function taken(due: AsyncGenerator<UserKeyDoc>, size: number): Promise<UserKeyDoc[]> {
  const rows: UserKeyDoc[] = [];
  while (rows.length < size) {
    const next = await due.next();
    if (next.done === true) break;
    rows.push(next.value);
  }
  return rows;
}
