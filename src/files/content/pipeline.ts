import { ChunkBatch, DomainError, Principal, bytesIn } from '../../kernel';
import { quotaExceeded } from '../../quota';
import { uploadGone } from '../model/file';
import { Keepalive } from './keepalive';

/**
 * Looks at a content on its way from the request to the blob store. What it throws ends the upload.
 */
export interface Guard {
  /** Called with each batch, before it goes on. */
  batch?(batch: ChunkBatch): void;
  /** Called after the last batch, before the next stage learns that there is no more. */
  end?(): void | Promise<void>;
}

/**
 * The content as it is, past guards that are asked in their order. One stage, whatever they are
 * many.
 */
export async function* guarded(
  content: AsyncIterable<ChunkBatch>,
  ...guards: readonly Guard[]
): AsyncGenerator<ChunkBatch, void> {
  for await (const batch of content) {
    for (const guard of guards) guard.batch?.(batch);
    yield batch;
  }
  for (const guard of guards) await guard.end?.();
}

export interface SizeLimits {
  /** MAX_FILE_SIZE, or less for an upload link that says less. */
  readonly largest: number;
  /** What is left of the owner's quota. */
  readonly quota: number;
}

/** @throws DomainError `too_large`, `quota_exceeded` */
export function checkSize(bytes: number, limits: SizeLimits): void {
  if (bytes > limits.largest) throw new DomainError('too_large', { detail: 'The file exceeds MAX_FILE_SIZE.' });
  if (bytes > limits.quota) throw quotaExceeded();
}

/** Nothing beyond a limit is read. */
export function enforceLimits(limits: SizeLimits): Guard {
  let bytes = 0;
  return {
    batch: (batch) => {
      bytes += bytesIn(batch);
      checkSize(bytes, limits);
    },
  };
}

/**
 * Refuses the end of a content whose sender lost access while it came: the session ended, the
 * account was disabled, the upload link was removed. So nothing of it is kept.
 */
export const requireAdmitted = ({ requireStillAdmitted }: Principal): Guard => ({
  end: () => requireStillAdmitted(),
});

/** Ends an upload whose row somebody else has removed: nobody would see what still comes. */
export const abortWhenLost = (keepalive: Keepalive): Guard => ({
  batch: () => {
    if (keepalive.isLost) throw uploadGone();
  },
});
