import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import {
  beginRelocation,
  endRelocation,
  fenceInstallation,
  readPlacement,
  type WrapLocation,
  WRAPS,
} from '../../installation';
import { AdaptiveBatcher, type Job, JobBusy, type JobData, JobFailed, JobRunner, RunningJob } from '../../jobs';
import { AuditSink, failpoint } from '../../kernel';
import { Store } from '../../store';
import type { UserKeyDoc } from '../user-keys';
import { Immovable, RoutedWrapStore } from '../user-keys/wrap-store';

export const WRAP_RELOCATION_JOB = 'user-keys.move';

interface WrapRelocationData {
  readonly to: WrapLocation;
  /** Whether the number of keys to move has been counted. */
  readonly counted: boolean;
}

const wrapRelocationData = (data: JobData): WrapRelocationData => ({
  to: data['to'] === 'vault' ? 'vault' : 'store',
  counted: data['counted'] === true,
});

/** After so many passes in which rows changed meanwhile the job fails. */
const PASSES = 50;
/** Keys in a batch; each one costs a few requests to Vault. */
const STEP = { least: 8, first: 16, most: 64 };
/** Fewer than the sockets of the client: requests of users need some too. */
const AT_ONCE = 4;

/** Counts what one run has met; the rows themselves say what is done. */
class Tally {
  done = 0;
  /** Owners whose wraps cannot be moved, and rows whose MAC verification failed. */
  readonly failed = new Set<string>();
}

/**
 * Moves the wraps of all user keys between the rows and Vault. The installation document comes
 * first, so wraps of new owners go to the new location; then every row is moved. May be repeated.
 */
@Injectable()
export class WrapRelocationJob implements OnModuleInit {
  readonly #logger = new Logger('WrapRelocation');

  constructor(
    private readonly jobs: JobRunner,
    private readonly wraps: RoutedWrapStore,
    private readonly store: Store,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.register();
  }

  /** A replica that is not configured for Vault leaves the job to one that is. */
  register(): void {
    this.jobs.register(WRAP_RELOCATION_JOB, (job) => this.run(job), { accepts: () => this.wraps.reachesVault });
  }

  async run(job: RunningJob): Promise<void> {
    const { to } = wrapRelocationData(job.data);
    await this.wraps.prepareMove();
    await beginRelocation(this.store, WRAPS, to, () => job.assertLease());
    failpoint('user-key-move.begun');
    await this.#moveAll(job);
    const placement = await endRelocation(this.store, WRAPS, to, () => job.assertLease());
    // Another move has reversed this one meanwhile.
    if (placement.current !== to || placement.target !== undefined) throw new JobFailed('conflict');
    failpoint('user-key-move.settled');
    const intent = {
      action: 'user-keys.moved',
      actor: `system:${WRAP_RELOCATION_JOB}`,
      resource: 'user-keys',
    } as const;
    this.audit.note({ ...intent, details: { to, done: job.progress.done } }, 'done');
  }

  /**
   * One whole pass finds every row stored before the document changed; whoever stores one later
   * reads the document (`WrapStore.isSettled`). Further passes are for rows that changed meanwhile.
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

  /**
   * Counts the rows when the job begins or is taken over: a dead process may not have saved its
   * count.
   */
  async #counted(job: RunningJob): Promise<Tally> {
    const { to, counted } = wrapRelocationData(job.data);
    const tally = new Tally();
    let remaining = 0;
    for await (const _ of this.wraps.due(to, () => undefined)) remaining += 1;
    const total = counted ? Math.max(job.progress.total, remaining) : remaining;
    tally.done = total - remaining;
    await job.save({ data: { counted: true }, progress: { total, done: tally.done, failed: 0 } });
    return tally;
  }

  /** True where no row changed meanwhile. */
  async #pass(job: RunningJob, tally: Tally): Promise<boolean> {
    const pace = new AdaptiveBatcher(STEP);
    const due = this.wraps.due(wrapRelocationData(job.data).to, (id) => tally.failed.add(id));
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

  /** An owner whose wraps cannot be moved does not stop the others. */
  async #moveOne(job: RunningJob, row: UserKeyDoc, tally: Tally): Promise<boolean> {
    try {
      const isMoved = await this.wraps.move(row, wrapRelocationData(job.data).to);
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

/** Begins moves of the wraps between the rows and Vault while the service runs. */
@Injectable()
export class WrapRelocations {
  constructor(
    private readonly jobs: JobRunner,
    private readonly wraps: RoutedWrapStore,
    private readonly store: Store,
  ) {}

  /**
   * Begins a move, or finds the one to the same location that is running; undefined where the wraps
   * are there already. A move to the other location is reversed. Nothing is begun that this process
   * could not do.
   * @throws StartupError naming what is not configured; DomainError `kms_unavailable`.
   */
  async begin(to: WrapLocation, requestedBy: string): Promise<Job | undefined> {
    const active = await this.jobs.active(WRAP_RELOCATION_JOB);
    if (active === undefined) {
      // A move that has ended may have left a process that sleeps before its write.
      await fenceInstallation(this.store);
      if (await this.#isSettled(to)) return undefined;
    }
    await this.wraps.prepareMove();
    if (active !== undefined && wrapRelocationData(active.data).to === to) return active;
    if (active !== undefined) await this.jobs.fail(active.id, 'conflict', () => true);
    try {
      return await this.jobs.start(WRAP_RELOCATION_JOB, { requested_by: requestedBy, to });
    } catch (error) {
      if (error instanceof JobBusy) return this.begin(to, requestedBy);
      throw error;
    }
  }

  async #isSettled(to: WrapLocation): Promise<boolean> {
    const placement = await readPlacement(this.store, WRAPS);
    if (placement.current !== to || placement.target !== undefined) return false;
    // A reversed move that died may have left rows half-way; without Vault none can be moved.
    if (!this.wraps.reachesVault) return true;
    for await (const _ of this.wraps.due(to, () => undefined)) return false;
    return true;
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
