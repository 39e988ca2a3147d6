import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { JobFailed, JobProgress, JobRunner, AdaptiveBatcher, RunningJob, BatchStep } from '../../jobs';
import { AuditAction, AuditIntent, AuditSink, failpoint, isDomainError } from '../../kernel';
import type { Position } from '../../store';
import { MAX_BATCH } from '../master-key';
import { SystemKeys } from '../system-keys';
import { NamedRows, type RewrapBatch, UserKeyRewrap } from '../user-keys';
import { ROTATION_JOB, rotationData } from './rotation';
import { RotationTarget } from './rotation-target';

/** So many walks in a row in which no due row held still: somebody keeps writing them, and a new rotation is to be tried later. */
const IDLE_WALKS = 50;
/** User keys in a batch: by how it goes, and how much others want of this process. */
const BATCH = { least: 25, first: MAX_BATCH, most: 50_000 };
/** What is read, wrapped and written in one go: fewer, and each write pays for a commit of its own; more, and the event loop is late for the others. */
const PART = 200;
/** The progress of a job is for those who watch it; what is done is told by the rows. */
const SAVE_EVERY_MS = 500;

/**
 * Rotates the master key, and moves it to another home, in the order of writes of docs/keys.md. Each step looks at what is there before it does anything, so the
 * whole may be run again after a death at any point; the failpoints stand between the writes.
 */
@Injectable()
export class RotationJob implements OnModuleInit {
  readonly #logger = new Logger('RotationJob');

  constructor(
    private readonly jobs: JobRunner,
    private readonly target: RotationTarget,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrap,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.register();
  }

  register(): void {
    // A replica that is not configured for the home of a move leaves it to one that is.
    this.jobs.register(ROTATION_JOB, (job) => this.run(job), {
      accepts: (data) => this.target.isReachable(rotationData(data).to),
    });
  }

  async run(job: RunningJob): Promise<void> {
    const target = await this.#newVersion(job);
    await this.#advance(job, target);
    await this.#rewrapSystemKeys(job, target);
    const lowest = await this.#rewrapUserKeys(job, target);
    await this.target.settle(rotationData(job.data).to, () => job.assertLease());
    await this.target.assertFloors(lowest);
    failpoint('rotation.before-done');
    this.#note('rotation.finished', job, { target, ...job.progress });
  }

  /** Intent, then the new version, then its number pinned in the job. */
  async #newVersion(job: RunningJob): Promise<number> {
    const { target } = rotationData(job.data);
    if (target !== undefined) return target;
    const from = await this.#atOnce(job, () => this.#intent(job));
    failpoint('rotation.intent-written');
    await job.assertLease();
    const made = await this.#atOnce(job, () => this.target.make(from, rotationData(job.data).to));
    failpoint('rotation.key-rotated');
    await job.save({ data: { target: made } });
    failpoint('rotation.target-pinned');
    this.#note('rotation.pinned', job, { from, target: made });
    return made;
  }

  /** Read while this job holds the one place of its kind: no other rotation moves the row meanwhile. */
  async #intent(job: RunningJob): Promise<number> {
    const { from, to } = rotationData(job.data);
    if (from !== undefined) return from;
    // Looked at before anything is made: else each try would add one more version and fail.
    this.#requireSound(await this.systemKeys.spoilt());
    const current = await this.target.follows(to);
    await job.save({ data: { from: current } });
    return current;
  }

  /** The first try has somebody waiting for it, who is told at once that the home is away; a resumed job waits for it to come back. */
  async #atOnce<T>(job: RunningJob, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!job.resumed && isDomainError(error, 'kms_unavailable')) throw new JobFailed(error.code);
      throw error;
    }
  }

  async #advance(job: RunningJob, target: number): Promise<void> {
    await this.target.advance(target, rotationData(job.data).to, () => job.assertLease());
    failpoint('rotation.row-advanced');
    if (!rotationData(job.data).advanced) await job.save({ data: { advanced: true } });
  }

  /** They seal every row and every code: one that does not unwrap is for the operator to look at, before anything else is touched. */
  async #rewrapSystemKeys(job: RunningJob, target: number): Promise<void> {
    await job.assertLease();
    const { failed } = await this.systemKeys.rewrapAll(target);
    this.#requireSound(failed);
    failpoint('rotation.system-keys');
  }

  #requireSound(failed: readonly string[]): void {
    if (failed.length === 0) return;
    this.#logger.error(`system keys do not open: ${failed.join(', ')}. Restore system_keys from a backup.`);
    throw new JobFailed('integrity_failed');
  }

  /**
   * Walks all rows by their ids, whatever an index says of them, until a walk leaves none that is due: rows whose compare-and-set did not hold, and those
   * of a Vault that failed, come again in the next one. Resolves with the lowest master key version that any row still needs.
   */
  async #rewrapUserKeys(job: RunningJob, target: number): Promise<number> {
    await this.#count(job, target, 0);
    const progress = new Progress(job);
    for (let idle = 0; idle < IDLE_WALKS;) {
      const { left, done, forged, lowest } = await this.#walk(job, target, progress);
      idle = done > 0 ? 0 : idle + 1;
      if (left > 0) continue;
      if (forged.count > 0)
        this.#logger.error(`${forged.count} rows of user keys do not hold their seal: ${forged.first.join(', ')}`);
      await this.#count(job, target, forged.count);
      return forged.count > 0 ? 0 : lowest;
    }
    throw new JobFailed('conflict');
  }

  async #walk(job: RunningJob, target: number, progress: Progress): Promise<Walked> {
    const pace = new AdaptiveBatcher(BATCH);
    const walked: Walked = { left: 0, done: 0, forged: new NamedRows(), lowest: Infinity };
    let after: Position | undefined;
    do {
      await job.assertLease();
      const from = after;
      const batch = await pace.step((step) => this.#rewrapBatch(job, target, from, step), job.signal);
      failpoint('rotation.mid-batch');
      if (batch.attempted > 0) await this.#add(job, target, progress, batch);
      walked.done += batch.done;
      walked.left += batch.attempted - batch.done - batch.failed.length;
      walked.lowest = Math.min(walked.lowest, batch.lowest, batch.failed.length > 0 ? 0 : Infinity);
      for (const id of batch.forged) walked.forged.add(id);
      after = batch.next;
    } while (after !== undefined);
    return walked;
  }

  async #add(job: RunningJob, target: number, progress: Progress, batch: RewrapBatch): Promise<void> {
    if (batch.failed.length > 0) this.#note('rotation.quarantined', job, { target, keys: batch.failed.length });
    await progress.add(batch);
  }

  #rewrapBatch(job: RunningJob, target: number, after: Position | undefined, step: BatchStep): Promise<RewrapBatch> {
    const options = { after, part: Math.min(step.size, PART), goesOn: this.#goesOn(job, step) };
    return this.userKeys.rewrapBatch(target, step.size, options);
  }

  #goesOn(job: RunningJob, { goesOn }: BatchStep): () => Promise<boolean> {
    return async () => {
      await job.assertLease();
      return goesOn();
    };
  }

  /**
   * By the index, for display: when the job begins or is taken over, so that what a dead process did and did not save is in, and at its end. In between
   * it adds up: a count costs as much as there are keys. The size of the task is set once; keys that are made later have the target already.
   */
  async #count(job: RunningJob, target: number, forged: number): Promise<void> {
    const remaining = await this.userKeys.remaining(target);
    const quarantined = await this.userKeys.quarantinedFor(target);
    const total = rotationData(job.data).counted ? job.progress.total : remaining + quarantined;
    // Forged rows are among the remaining ones.
    const done = Math.max(0, total - remaining - quarantined);
    await job.save({ data: { counted: true }, progress: { total, done, failed: quarantined + forged } });
  }

  #note(action: AuditAction, job: RunningJob, details: NonNullable<AuditIntent['details']>): void {
    this.audit.note({ action, actor: `system:${ROTATION_JOB}`, resource: `rotation/${job.id}`, details }, 'done');
  }
}

interface Walked {
  /** Rows that were due and are neither wrapped again nor in quarantine. */
  left: number;
  done: number;
  readonly forged: NamedRows;
  /** The lowest version that a row still needs. */
  lowest: number;
}

/** Adds batches up and saves the sum now and then: a save is a commit, which the next batch would wait for. */
class Progress {
  #now: JobProgress;
  #saved = performance.now();

  constructor(private readonly job: RunningJob) {
    this.#now = job.progress;
  }

  async add(batch: RewrapBatch): Promise<void> {
    this.#now = afterBatch(this.#now, batch);
    if (performance.now() - this.#saved < SAVE_EVERY_MS) return;
    await this.job.save({ progress: this.#now });
    this.#saved = performance.now();
  }
}

function afterBatch({ total, done, failed }: JobProgress, batch: RewrapBatch): JobProgress {
  const all = failed + batch.failed.length;
  return { total, done: Math.min(done + batch.done, Math.max(0, total - all)), failed: all };
}
