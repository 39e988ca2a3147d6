import type { Job, JobData } from '../../jobs';
import { rotationOf, type Rotation } from './rotation';

export const USER_KEY_ROTATION_JOB = 'user-key.rotation';

/** `from`: the version that the new one follows; `target` is pinned once it is made. */
export interface UserKeyRotationData {
  readonly owner: string;
  readonly from: number;
  readonly target: number | undefined;
}

export function userKeyRotationData(data: JobData): UserKeyRotationData {
  const { owner, from, target } = data;
  if (typeof owner !== 'string' || typeof from !== 'number')
    throw new TypeError('a user-key rotation without an owner');
  return { owner, from, target: typeof target === 'number' ? target : undefined };
}

/** As administrators and owners see it: `done` values moved, `failed` values that do not open and keep their version. */
export const userKeyRotationOf = (job: Job): Rotation => ({
  ...rotationOf(job),
  inEffect: userKeyRotationData(job.data).target !== undefined,
});
