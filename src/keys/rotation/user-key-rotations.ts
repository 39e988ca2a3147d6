import { Injectable } from '@nestjs/common';
import { Job, JobBusy, JobRunner } from '../../jobs';
import { Clock, DomainError, MINUTE, SECOND } from '../../kernel';
import { requireNextVersion, UserKeyRotator, type UserKeyState } from '../user-keys';
import { Rotation } from './rotation';
import { USER_KEY_ROTATION_JOB, userKeyRotationOf } from './user-key-rotation';

/** A small vault is done before the answer; a larger one goes on behind it. */
const ANSWER_WITHIN = 2 * SECOND;
/** Making a version is a handful of calls that are bounded themselves. */
const EFFECT_WITHIN = 8 * SECOND;

/** The least time between two rotations by the owner: 65,535 versions last for more than a year of nothing else. */
const LEAST_INTERVAL = 10 * MINUTE;

@Injectable()
export class UserKeyRotations {
  constructor(
    private readonly jobs: JobRunner,
    private readonly keys: UserKeyRotator,
    private readonly clock: Clock,
  ) {}

  /**
   * Rotates the key of one owner, one rotation at a time each. Resolves once there is a new version: at the end of the rotation or after
   * 2 seconds, whichever comes first. The owner waits for a while after a rotation; an administrator, who acts on suspicion, does not.
   * @throws DomainError `rotation_running` with `rotation_id`, `rate_limited`, `conflict` (no version left), `not_found` (no such owner, or erased), `kms_unavailable` where nothing has
   * changed yet, with `rotation_id` where the rotation goes on once the key service is back.
   */
  async start(ownerId: string, requestedBy: string): Promise<Rotation> {
    const started = performance.now();
    const state = await this.keys.state(ownerId);
    const { current } = state;
    requireNextVersion(current);
    if (requestedBy === ownerId) await this.#requirePause(ownerId, state);
    const { id } = await this.#begin(ownerId, { owner: ownerId, from: current, requested_by: requestedBy });
    const inEffect = (job: Job): boolean => hasEnded(job) || userKeyRotationOf(job).inEffect;
    await this.jobs.until(id, inEffect, EFFECT_WITHIN);
    const rest = Math.max(0, ANSWER_WITHIN - (performance.now() - started));
    const job = await this.jobs.until(id, hasEnded, rest);
    if (job.state === 'failed') {
      throw new DomainError(job.fault ?? 'internal', { detail: 'The key could not be rotated.' });
    }
    const rotation = userKeyRotationOf(job);
    if (!rotation.inEffect) {
      throw new DomainError('kms_unavailable', {
        detail: 'No new version could be made yet; the rotation goes on by itself.',
        retryAfterSeconds: 5,
        extensions: { rotation_id: id },
      });
    }
    return rotation;
  }

  /** A version from further ahead was made by a clock that was set back since, and holds nobody up. */
  async #requirePause(ownerId: string, { current, versions }: UserKeyState): Promise<void> {
    const { createdAt = 0 } = versions.find(({ version }) => version === current) ?? {};
    const left = LEAST_INTERVAL - Math.abs(this.clock.now() - createdAt);
    if (current === 1 || left <= 0) return;
    const running = await this.jobs.active(`${USER_KEY_ROTATION_JOB}/${ownerId}`);
    if (running !== undefined) throw isRunning(running);
    throw new DomainError('rate_limited', {
      detail: 'This key was rotated a moment ago.',
      retryAfterSeconds: Math.ceil(left / SECOND),
    });
  }

  async #begin(ownerId: string, data: { owner: string; from: number; requested_by: string }): Promise<Job> {
    try {
      return await this.jobs.start(USER_KEY_ROTATION_JOB, data, ownerId);
    } catch (error) {
      if (!(error instanceof JobBusy)) throw error;
      throw isRunning(error.job);
    }
  }
}

const isRunning = ({ id }: Job): DomainError =>
  new DomainError('rotation_running', {
    detail: 'This key is being rotated already.',
    extensions: { rotation_id: id },
  });

const hasEnded = (job: Job): boolean => job.state === 'done' || job.state === 'failed';
