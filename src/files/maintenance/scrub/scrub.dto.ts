import { PageQueryDto } from '../../../http';
import type { JobState } from '../../../jobs';
import { isoTime } from '../../../kernel';
import type { Scrub } from './scrub.service';

export class ScrubFailureDto {
  /**
   * The file.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  file_id!: string;

  /**
   * Its version; 0 where the file's row itself fails MAC verification.
   * @example 1
   */
  version!: number;

  /**
   * `decryption_failed` (changed, cut, moved or missing), `checksum_mismatch`, `integrity_failed`,
   * or `store_unavailable` (the medium cannot read it).
   * @example "decryption_failed"
   */
  code!: string;
}

export class ScrubDto {
  /**
   * Opaque id of the scrub.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * `running`; `paused`, which keeps its place; `done`, with `failed` above 0 where files are
   * damaged; `failed`, where the job could not go on and a new one may be started.
   * @example "done"
   */
  state!: JobState;

  /**
   * Files to be read, as counted at the beginning.
   * @example 1200
   */
  total!: number;

  /**
   * Files that were read through and are sound.
   * @example 1200
   */
  done!: number;

  /**
   * Files that are damaged.
   * @example 0
   */
  failed!: number;

  /**
   * Bytes of content that were read.
   * @example 734003200
   */
  bytes!: number;

  /** The first 100 damaged contents; the audit log has them all. */
  failures!: ScrubFailureDto[];

  /**
   * When it was begun.
   * @example "2026-01-01T00:00:00.000Z"
   */
  created_at!: string;

  /**
   * When it ended; null before.
   * @example "2026-01-01T02:00:00.000Z"
   */
  finished_at!: string | null;
}

export class ScrubListDto {
  /** Scrubs, newest first. */
  items!: ScrubDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}

export class ScrubListQueryDto extends PageQueryDto {}

export const scrubDto = ({ progress, ...scrub }: Scrub): ScrubDto => ({
  id: scrub.id,
  state: scrub.state,
  ...progress,
  bytes: scrub.bytes,
  failures: [...scrub.failures],
  created_at: isoTime(scrub.createdAt),
  finished_at: scrub.finishedAt === undefined ? null : isoTime(scrub.finishedAt),
});
