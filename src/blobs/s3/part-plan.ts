import { SECOND } from '../../kernel';

const MIB = 1024 * 1024;
/** The least that S3 takes for a part but the last. */
export const LEAST_PART_BYTES = 5 * MIB;
/** The most that S3 takes for one object. */
export const MOST_PARTS = 10_000;

/** Parts that follow on each other and are of one size. */
export interface PartSizes {
  readonly parts: number;
  readonly bytes: number;
  /** How many of them a process holds at once, for all its puts together. */
  readonly buffers: number;
  /** How long a put waits for one of them; then it gets a smaller one, beyond the number. In ms. */
  readonly patience: number;
  /** The size of that one. */
  readonly spare: number;
}

/**
 * The size of a part by its number. A put does not know how much is to come, and S3 takes 10,000 parts for an object, so parts grow: 1.01 TiB
 * fit in all, which is the largest file of the product as a message. A part is in memory while it is sent: 30 MiB in all for blobs of
 * up to 4.9 GiB, 64 MiB more while larger ones come, 256 MiB more while some beyond 36 GiB do, however many they are.
 *
 * A put that waits is silent towards its client, whom proxies in between may give up: so nobody waits long, and who gets a smaller part
 * spends one of the 10,000 numbers on it. 260 GiB fit however often that happens.
 */
export const PART_PLAN: readonly PartSizes[] = [
  { parts: 1_000, bytes: LEAST_PART_BYTES, buffers: 6, patience: 5 * SECOND, spare: LEAST_PART_BYTES },
  { parts: 1_000, bytes: 32 * MIB, buffers: 2, patience: 5 * SECOND, spare: LEAST_PART_BYTES },
  { parts: 8_000, bytes: 128 * MIB, buffers: 2, patience: 10 * SECOND, spare: 32 * MIB },
];
