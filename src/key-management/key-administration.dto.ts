import { PageQueryDto } from '../http';
import type { JobState } from '../jobs';
import type { Rotation } from '../keys/rotation';

export class RotationDto {
  /**
   * Opaque id of the rotation.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * `running`; `paused`, which keeps its place; `done`, with `failed` above 0 where keys are in
   * quarantine; `failed`, where the job could not go on and a new one may be started.
   * @example "done"
   */
  state!: JobState;

  /**
   * The version that everything new is wrapped with, of the master key or of the user's key; null
   * until it has been made.
   * @example 2
   */
  target_version!: number | null;

  /**
   * User keys that this rotation has to wrap again; for a user's key, the values found so far.
   * @example 1200
   */
  total!: number;

  /**
   * Those that it has wrapped, or sealed, again.
   * @example 1200
   */
  done!: number;

  /**
   * Those in quarantine: they do not open under the version that they name.
   * @example 0
   */
  failed!: number;
}

export class RotateMasterKeyAnswerDto {
  /**
   * Everything new is wrapped with the new version.
   * @example "Master key rotated successfully"
   */
  message!: string;

  rotation!: RotationDto;
}

export class RotationListDto {
  /** Rotations, newest first. */
  items!: RotationDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}

export class RotationListQueryDto extends PageQueryDto {}

export const rotationDto = (rotation: Rotation): RotationDto => ({
  id: rotation.id,
  state: rotation.state,
  target_version: rotation.targetVersion ?? null,
  total: rotation.total,
  done: rotation.done,
  failed: rotation.failed,
});
