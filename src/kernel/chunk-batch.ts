/**
 * Bytes on their way that came together, in the pieces in which they came. Content goes through the
 * process in bursts: each hop of a promise costs as much as copying some 100 KiB, so a chunk of the
 * socket alone is too small to hop, and joining chunks would be a copy.
 */
export type ChunkBatch = readonly Uint8Array[];

export const bytesIn = (burst: ChunkBatch): number => burst.reduce((sum, { length }) => sum + length, 0);

/** The chunks of a stream that has large ones, each as a burst. */
export async function* burstsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<ChunkBatch, void> {
  for await (const chunk of source) yield [chunk];
}
