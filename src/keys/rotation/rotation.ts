import { ErrorCode } from '../../kernel';
import { Job, JobData, JobState } from '../../jobs';
import { BACKEND_NAMES, BackendName } from '../master-key';

export const ROTATION_JOB = 'master-key.rotation';

/** A rotation of the master key, as administrators see it. */
export interface Rotation {
  readonly id: string;
  readonly state: JobState;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Undefined until the new version is made and pinned. */
  readonly targetVersion: number | undefined;
  /** The home that a move leads to; undefined for a rotation within the home. */
  readonly to: BackendName | undefined;
  /** User keys to be wrapped again, those that are, and those in quarantine. */
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  /** True once everything new is wrapped with the target version. */
  readonly inEffect: boolean;
  readonly fault: ErrorCode | undefined;
}

/**
 * What a rotation keeps between its steps. `from` is the intent: the version that the new one follows, durable before the new one is
 * made, so that a resumed job adopts a version that a dead process may have made. `target` is pinned: a version that appears later
 * is another rotation's. `advanced`: the master key row names the target.
 */
export interface RotationData {
  readonly from: number | undefined;
  readonly target: number | undefined;
  readonly advanced: boolean;
  /** True once the number of keys to be wrapped again has been taken. */
  readonly counted: boolean;
  /** The home that the new version is made in; undefined: the one that holds the current version. */
  readonly to: BackendName | undefined;
}

export const rotationData = (data: JobData): RotationData => ({
  from: typeof data['from'] === 'number' ? data['from'] : undefined,
  target: typeof data['target'] === 'number' ? data['target'] : undefined,
  advanced: data['advanced'] === true,
  counted: data['counted'] === true,
  to: BACKEND_NAMES.find((home) => home === data['to']),
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
