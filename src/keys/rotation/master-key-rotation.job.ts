import { Injectable, Logger, OnModuleInit } from '@nestjs/common';
import { AdaptiveBatcher, BatchStep, JobFailed, JobProgress, JobRunner, RunningJob } from '../../jobs';
import { AuditAction, AuditIntent, AuditSink, failpoint, isDomainError } from '../../kernel';
import type { Position } from '../../store';
import { MAX_BATCH } from '../master-key';
import { SystemKeys } from '../system-keys';
import { NamedRows, type RewrapBatch, UserKeyRewrap } from '../user-keys';
import { RotationTargets } from './backend-move';
import { ROTATION_JOB, rotationData } from './rotation';
import type { RotationTarget } from './rotation-target';

/**
 * After so many walks without a row written the job fails: other writers keep changing the rows.
 */
const IDLE_WALKS = 50;
/**
 * User keys in a batch: adapts to the speed of the backend and to the other load of the process.
 */
const BATCH = { least: 25, first: MAX_BATCH, most: 50_000 };
/**
 * Rows that are read, wrapped and written together. Fewer cost more commits; more delay the event
 * loop.
 */
const PART = 200;
/** The progress is for display; the rows themselves say what is done. */
const SAVE_EVERY_MS = 500;

/**
 * Rotates the master key, in place or by a move to another backend, in the order of writes of
 * src/keys/README.md. Each step first reads what is there, so the job may be repeated from any
 * point.
 */
@Injectable()
export class MasterKeyRotationJob implements OnModuleInit {
  readonly #logger = new Logger('MasterKeyRotation');

  constructor(
    private readonly jobs: JobRunner,
    private readonly targets: RotationTargets,
    private readonly systemKeys: SystemKeys,
    private readonly userKeys: UserKeyRewrap,
    private readonly audit: AuditSink,
  ) {}

  onModuleInit(): void {
    this.register();
  }

  register(): void {
    // A replica that is not configured for the backend of a move leaves the job to one that is.
    this.jobs.register(ROTATION_JOB, (job) => this.run(job), {
      accepts: (data) => this.targets.isReachable(rotationData(data).to),
    });
  }

  async run(job: RunningJob): Promise<void> {
    const target = await this.#newVersion(job);
    await this.#advance(job, target);
    await this.#rewrapSystemKeys(job, target);
    const lowest = await this.#rewrapUserKeys(job, target);
    await this.#targetOf(job).settle(() => job.assertLease());
    await this.#targetOf(job).assertFloors(lowest);
    failpoint('rotation.before-done');
    this.#note('rotation.finished', job, { target, ...job.progress });
  }

  #targetOf(job: RunningJob): RotationTarget {
    return this.targets.of(rotationData(job.data).to);
  }

  /** Stores the intent, makes the version, then stores its number in the job. */
  async #newVersion(job: RunningJob): Promise<number> {
    const { target } = rotationData(job.data);
    if (target !== undefined) return target;
    const from = await this.#atOnce(job, () => this.#intent(job));
    failpoint('rotation.intent-written');
    await job.assertLease();
    const made = await this.#atOnce(job, () => this.#targetOf(job).make(from));
    failpoint('rotation.key-rotated');
    await job.save({ data: { target: made } });
    failpoint('rotation.target-pinned');
    this.#note('rotation.pinned', job, { from, target: made });
    return made;
  }

  /** Only one rotation runs at a time, so no other one changes the row after this read. */
  async #intent(job: RunningJob): Promise<number> {
    const { from } = rotationData(job.data);
    if (from !== undefined) return from;
    // Checked before a version is made: each failing attempt would add another version.
    this.#requireSound(await this.systemKeys.spoilt());
    const current = await this.#targetOf(job).follows();
    await job.save({ data: { from: current } });
    return current;
  }

  /**
   * A caller waits for the first attempt, so an outage fails it at once; a resumed job waits
   * instead.
   */
  async #atOnce<T>(job: RunningJob, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!job.resumed && isDomainError(error, 'kms_unavailable')) throw new JobFailed(error.code);
      throw error;
    }
  }

  async #advance(job: RunningJob, target: number): Promise<void> {
    await this.#targetOf(job).advance(target, () => job.assertLease());
    failpoint('rotation.row-advanced');
    if (!rotationData(job.data).advanced) await job.save({ data: { advanced: true } });
  }

  /**
   * Every row and code depends on them: one that does not unwrap stops the rotation for the
   * operator.
   */
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
   * Walks all rows by id, not by an index, until a walk leaves no row that is due. A row whose
   * compare-and-set failed comes again in the next walk. Resolves with the lowest version in use.
   */
  async #rewrapUserKeys(job: RunningJob, target: number): Promise<number> {
    await this.#count(job, target, 0);
    const progress = new Progress(job);
    for (let idle = 0; idle < IDLE_WALKS;) {
      const { left, done, forged, lowest } = await this.#walk(job, target, progress);
      idle = done > 0 ? 0 : idle + 1;
      if (left > 0) continue;
      if (forged.count > 0)
        this.#logger.error(`${forged.count} rows of user keys fail their MAC verification: ${forged.first.join(', ')}`);
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
   * Counts by the index, for display: when the job begins or is taken over, and at its end, since a
   * count reads as much as there are keys. The total is set once.
   */
  async #count(job: RunningJob, target: number, forged: number): Promise<void> {
    const remaining = await this.userKeys.remaining(target);
    const quarantined = await this.userKeys.quarantinedFor(target);
    const total = rotationData(job.data).counted ? job.progress.total : remaining + quarantined;
    // Tampered rows are among the remaining ones.
    const done = Math.max(0, total - remaining - quarantined);
    await job.save({ data: { counted: true }, progress: { total, done, failed: quarantined + forged } });
  }

  #note(action: AuditAction, job: RunningJob, details: NonNullable<AuditIntent['details']>): void {
    this.audit.note({ action, actor: `system:${ROTATION_JOB}`, resource: `rotation/${job.id}`, details }, 'done');
  }
}

interface Walked {
  /** Rows that were due and are neither rewrapped nor in quarantine. */
  left: number;
  done: number;
  readonly forged: NamedRows;
  /** The lowest master key version that a row still needs. */
  lowest: number;
}

/**
 * Adds up the batches and saves the sum periodically: every save is a commit that delays the next
 * batch.
 */
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
