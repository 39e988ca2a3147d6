import type { Job, JobData, JobState } from '../../jobs';
import type { ErrorCode } from '../../kernel';
import { BACKEND_NAMES, type BackendName } from '../master-key';

export const ROTATION_JOB = 'master-key.rotation';
export const USER_KEY_ROTATION_JOB = 'user-key.rotation';

/** A rotation of the master key or of a user key, as administrators and owners see it. */
export interface Rotation {
  readonly id: string;
  readonly state: JobState;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Undefined until the new version exists and the job has stored its number. */
  readonly targetVersion: number | undefined;
  /** The backend that the master key moves to; undefined for a rotation in place. */
  readonly to: BackendName | undefined;
  /** Keys to rewrap, or values to re-encrypt. */
  readonly total: number;
  readonly done: number;
  /** Keys in quarantine, or values that do not open and keep their version. */
  readonly failed: number;
  /** Whether everything new uses the target version. */
  readonly inEffect: boolean;
  readonly fault: ErrorCode | undefined;
}

/** What a rotation of the master key stores between its steps. */
export interface RotationData {
  /**
   * The version that the new one follows, stored first: a resumed job adopts what a dead one made.
   */
  readonly from: number | undefined;
  /** The new version. One that appears later belongs to another rotation. */
  readonly target: number | undefined;
  /** Whether the master key row names the target. */
  readonly advanced: boolean;
  /** Whether the number of keys to rewrap has been counted. */
  readonly counted: boolean;
  /** The backend to make the new version in; undefined for the present one. */
  readonly to: BackendName | undefined;
}

export const rotationData = (data: JobData): RotationData => ({
  from: typeof data['from'] === 'number' ? data['from'] : undefined,
  target: typeof data['target'] === 'number' ? data['target'] : undefined,
  advanced: data['advanced'] === true,
  counted: data['counted'] === true,
  to: BACKEND_NAMES.find((backend) => backend === data['to']),
});

export function rotationOf(job: Job): Rotation {
  const { target, advanced, to } = rotationData(job.data);
  return {
    id: job.id,
    state: job.state,
    startedAt: job.createdAt,
    targetVersion: target,
    to,
    ...job.progress,
    inEffect: advanced,
    fault: job.fault,
  };
}

/** What a rotation of a user key stores: `target` is the version that follows `from`, once made. */
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

export const userKeyRotationOf = (job: Job): Rotation => ({
  ...rotationOf(job),
  inEffect: userKeyRotationData(job.data).target !== undefined,
});
