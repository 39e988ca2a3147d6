import { Injectable } from '@nestjs/common';
import { Job, JobBusy, JobRunner } from '../../jobs';
import { DomainError, SECOND } from '../../kernel';
import { UserKeyRotator } from '../user';
import { Rotation } from './rotation';
import { USER_KEY_ROTATION_JOB, userKeyRotationOf } from './user-key-rotation';

/** A small vault is done before the answer; a larger one goes on behind it. */
const ANSWER_WITHIN = 2 * SECOND;
/** Making a version is a handful of calls that are bounded themselves. */
const EFFECT_WITHIN = 8 * SECOND;

@Injectable()
export class UserKeyRotations {
  constructor(
    private readonly jobs: JobRunner,
    private readonly keys: UserKeyRotator,
  ) {}

  /**
   * Rotates the key of one owner, one rotation at a time each. Resolves once there is a new version: at the end of the rotation or after
   * 2 seconds, whichever comes first.
   * @throws DomainError `rotation_running` with `rotation_id`, `not_found` (no such owner, or erased), `kms_unavailable` where nothing has
   * changed yet, with `rotation_id` where the rotation goes on once the key service is back.
   */
  async start(ownerId: string, requestedBy: string): Promise<Rotation> {
    const started = performance.now();
    const { current } = await this.keys.state(ownerId);
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

  async #begin(ownerId: string, data: { owner: string; from: number; requested_by: string }): Promise<Job> {
    try {
      return await this.jobs.start(USER_KEY_ROTATION_JOB, data, ownerId);
    } catch (error) {
      if (!(error instanceof JobBusy)) throw error;
      throw new DomainError('rotation_running', {
        detail: 'This key is being rotated already.',
        extensions: { rotation_id: error.job.id },
      });
    }
  }
}

const hasEnded = (job: Job): boolean => job.state === 'done' || job.state === 'failed';
