import { decryptionFailed } from '../format-fault';
import { ExactReader } from './exact-reader';
import { Unsealed } from './frame-cipher';
import { FrameEngine, Returned } from './frame-engine';
import { FramePool } from './frame-pool';
import { MessageLayout, Span } from './layout';
import { quiet, readAhead } from './read-ahead';

/** The frames that hold a plaintext range. */
export interface FrameRun {
  readonly layout: MessageLayout;
  readonly first: number;
  readonly last: number;
  /** Where they stand in the message. */
  readonly bytes: Span;
  /** How many of them are worked on at once. */
  readonly batch: number;
  /** How many such batches are asked for before the first of them is needed. */
  readonly ahead: () => number;
  /** The plaintext bytes asked for; `end` is before `start` in an empty file. */
  readonly wanted: Span;
}

/** Bytes of a message that are worked on at once: a store that gives a run's bytes in chunks of so many saves a copy of each. */
export const batchBytes = ({ batch, layout }: FrameRun): number => batch * layout.stride;

/** The run for a range, or for the whole file. @throws RangeError where the range is not within the plaintext. */
export function frameRun(layout: MessageLayout, range: Span | undefined, pool: FramePool): FrameRun {
  const wanted = range ?? { start: 0, end: layout.plaintextSize - 1 };
  if (range !== undefined && (range.start < 0 || range.end < range.start || range.end >= layout.plaintextSize)) {
    throw new RangeError('a range lies within the plaintext');
  }
  const first = layout.frameOf(wanted.start);
  // A whole file ends with its final frame, also where that one is empty.
  const last = range === undefined ? layout.frames : layout.frameOf(wanted.end);
  const batch = pool.framesAtOnce(layout.frameBytes);
  return { layout, first, last, bytes: layout.bytesOf(first, last), batch, ahead: () => pool.batchesAhead, wanted };
}

/**
 * The plaintext of a run, piece by piece, each verified. `source` stands `skipped` bytes before the run. Bytes that verified before a
 * fault come out before it is thrown. Ends the engine and the source.
 */
export async function* plaintextOf(
  run: FrameRun,
  source: ExactReader,
  skipped: number,
  engine: FrameEngine,
): AsyncGenerator<Buffer, void> {
  let position = run.layout.plaintextStart(run.first);
  try {
    await source.skip(skipped);
    for await (const { unsealed } of readAhead(unsealing(run, source, engine), run.ahead)) {
      const { slab, bytes, wall } = await unsealed;
      const piece = slab.subarray(
        Math.max(0, run.wanted.start - position),
        Math.min(bytes, run.wanted.end + 1 - position),
      );
      position += bytes;
      if (piece.length > 0) yield piece;
      if (wall !== undefined) throw decryptionFailed(wall);
    }
  } finally {
    engine.close();
    source.destroy();
  }
}

/** Reads batch after batch and hands each to the engine; the promise is wrapped so that nobody waits for it here. */
async function* unsealing(
  run: FrameRun,
  source: ExactReader,
  engine: FrameEngine,
): AsyncGenerator<{ readonly unsealed: Promise<Returned<Unsealed>> }, void> {
  const { layout, batch } = run;
  for (let first = run.first; first <= run.last; first += batch) {
    const last = Math.min(first + batch - 1, run.last);
    const { start, end } = layout.bytesOf(first, last);
    const frames = last - first + 1;
    const slab = await source.take(end + 1 - start);
    const lastBytes = last === layout.frames ? layout.lastBytes : undefined;
    yield { unsealed: quiet(engine.unseal(slab, first, frames, lastBytes)) };
  }
}
