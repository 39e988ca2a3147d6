import { ChunkBatch, DomainError, Principal, bytesIn } from '../../kernel/index';
import { quotaExceeded } from '../../quota/index';

export interface SizeLimits {
  /** MAX_FILE_SIZE. */
  readonly largest: number;
  /** What is left of the owner's quota. */
  readonly quota: number;
}

/** @throws DomainError `too_large`, `quota_exceeded` */
export function checkSize(bytes: number, limits: SizeLimits): void {
  if (bytes > limits.largest) throw new DomainError('too_large', { detail: 'The file exceeds MAX_FILE_SIZE.' });
  if (bytes > limits.quota) throw quotaExceeded();
}

/** A content, counted: what is beyond a limit is not read. */
export async function* limited(
  content: AsyncIterable<ChunkBatch>,
  limits: SizeLimits,
): AsyncGenerator<ChunkBatch, void> {
  let bytes = 0;
  for await (const burst of content) {
    bytes += bytesIn(burst);
    checkSize(bytes, limits);
    yield burst;
  }
}

/**
 * A content whose end is not reached where its sender was shut out while it came: the session was ended, the account disabled, the link of a
 * drop box taken away. So nothing of it is kept.
 */
export async function* whileAdmitted(
  { requireStillAdmitted }: Principal,
  content: AsyncIterable<ChunkBatch>,
): AsyncGenerator<ChunkBatch, void> {
  yield* content;
  await requireStillAdmitted();
}
