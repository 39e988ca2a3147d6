import { Injectable } from '@nestjs/common';
import { Job, JobBusy, JobRunner, JobState } from '../../jobs';
import { DomainError, SECOND } from '../../kernel';
import { ListOptions, Position } from '../../store';
import { ROTATION_JOB, Rotation, rotationOf } from './rotation';
import { USER_KEY_ROTATION_JOB, userKeyRotationOf } from './user-key-rotation';

/** Small sets are done before the answer; a larger one goes on behind it. */
const ANSWER_WITHIN = 2 * SECOND;
/** Making a version and moving the row are a handful of calls that are bounded themselves. */
const EFFECT_WITHIN = 8 * SECOND;

export interface RotationPage {
  readonly items: readonly Rotation[];
  readonly next: Position | undefined;
}

@Injectable()
export class Rotations {
  constructor(private readonly jobs: JobRunner) {}

  /**
   * Rotates the master key: resolves once everything new is wrapped with the new version, at the end of the rotation or after 2 seconds,
   * whichever comes first; the rest goes on in the background.
   * @throws DomainError `rotation_running` with `rotation_id`; `kms_unavailable` where no version could be made: nothing has changed then,
   * but where the home did make one without our hearing of it, the next rotation takes that one; the fault of a job that has failed meanwhile,
   * with `rotation_id`.
   */
  async start(requestedBy: string): Promise<Rotation> {
    const started = performance.now();
    const { id } = await this.#begin(() => this.jobs.start(ROTATION_JOB, { requested_by: requestedBy }));
    const inEffect = await this.jobs.until(id, (job) => hasEnded(job) || rotationOf(job).inEffect, EFFECT_WITHIN);
    this.#refuseIfWithoutEffect(inEffect);
    const rest = Math.max(0, ANSWER_WITHIN - (performance.now() - started));
    return this.#unlessFailed(await this.jobs.until(id, hasEnded, rest));
  }

  /** Everything new uses the version, and the rest could not be wrapped again: that is no success, whatever the version. */
  #unlessFailed(job: Job): Rotation {
    if (job.state !== 'failed') return rotationOf(job);
    throw new DomainError(job.fault ?? 'internal', {
      detail:
        'The new version is in use, and the rotation could not wrap everything again with it (GET /rotations/{id}).',
      extensions: { rotation_id: job.id },
    });
  }

  /** Stores the wish, for whichever replica of the service takes it first: for commands beside the service. @throws DomainError `rotation_running`. */
  async handOver(requestedBy: string): Promise<Rotation> {
    const data = { requested_by: requestedBy };
    return rotationOf(await this.#begin(() => this.jobs.enqueue(ROTATION_JOB, data)));
  }

  /** A rotation of the master key or of a user's key. @throws DomainError `not_found`. */
  async find(id: string): Promise<Rotation> {
    const job = await this.jobs.find(id);
    if (job?.kind === ROTATION_JOB) return rotationOf(job);
    if (job?.kind === USER_KEY_ROTATION_JOB) return userKeyRotationOf(job);
    throw new DomainError('not_found');
  }

  /**
   * Stops it before its next step, on whichever replica it runs; its place stays taken. One that is paused already stays so.
   * @throws DomainError `not_found`; `conflict` where it has ended.
   */
  pause(id: string): Promise<Rotation> {
    return this.#move(id, 'paused', () => this.jobs.pause(id));
  }

  /** @throws DomainError `not_found`; `conflict` where it has ended. */
  resume(id: string): Promise<Rotation> {
    return this.#move(id, 'running', () => this.jobs.resume(id));
  }

  /** Newest first. */
  async list(options: Omit<ListOptions, 'reverse'>): Promise<RotationPage> {
    const page = await this.jobs.list(ROTATION_JOB, { ...options, reverse: true });
    return { items: page.items.map(rotationOf), next: page.next };
  }

  async #move(id: string, wanted: JobState, move: () => Promise<boolean>): Promise<Rotation> {
    await this.find(id);
    const moved = await move();
    const now = await this.find(id);
    // What it has become meanwhile, done perhaps, is not for this call to deny: it was moved.
    if (moved || now.state === wanted) return now;
    throw new DomainError('conflict', { detail: 'The rotation has ended.' });
  }

  async #begin(begin: () => Promise<Job>): Promise<Job> {
    try {
      return await begin();
    } catch (error) {
      if (!(error instanceof JobBusy)) throw error;
      throw new DomainError('rotation_running', {
        detail: 'The master key is being rotated already.',
        extensions: { rotation_id: error.job.id },
      });
    }
  }

  #refuseIfWithoutEffect(job: Job): void {
    const { inEffect, fault } = rotationOf(job);
    if (inEffect) return;
    if (!hasEnded(job)) {
      throw new DomainError('kms_unavailable', {
        detail: 'No new version could be made yet; the rotation goes on by itself.',
        retryAfterSeconds: 5,
        extensions: { rotation_id: job.id },
      });
    }
    const code = fault ?? 'kms_unavailable';
    const passes = code.endsWith('_unavailable');
    throw new DomainError(code, {
      detail: 'The master key could not be rotated.',
      ...(passes && { retryAfterSeconds: 5 }),
    });
  }
}

const hasEnded = (job: Job): boolean => job.state === 'done' || job.state === 'failed';
