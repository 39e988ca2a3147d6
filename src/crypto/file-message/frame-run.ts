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
  /** Byte range of the frames in the message. */
  readonly bytes: Span;
  /** Number of frames in one batch. */
  readonly batch: number;
  /** Number of batches to read ahead. */
  readonly ahead: () => number;
  /** The requested plaintext bytes; `end` is before `start` in an empty file. */
  readonly wanted: Span;
}

/**
 * Size of one batch in the message: a store that returns chunks of this size saves a copy of each.
 */
export const batchBytes = ({ batch, layout }: FrameRun): number => batch * layout.stride;

/**
 * Returns the frames of a range, or of the whole file.
 * @throws RangeError if the range is not within the plaintext
 */
export function frameRun(layout: MessageLayout, range: Span | undefined, pool: FramePool): FrameRun {
  const wanted = range ?? { start: 0, end: layout.plaintextSize - 1 };
  if (range !== undefined && (range.start < 0 || range.end < range.start || range.end >= layout.plaintextSize)) {
    throw new RangeError('a range lies within the plaintext');
  }
  const first = layout.frameOf(wanted.start);
  // A whole file includes its final frame, even if that frame is empty.
  const last = range === undefined ? layout.frames : layout.frameOf(wanted.end);
  const batch = pool.framesAtOnce(layout.frameBytes);
  return { layout, first, last, bytes: layout.bytesOf(first, last), batch, ahead: () => pool.batchesAhead, wanted };
}

/**
 * Yields the verified plaintext of a run in pieces. `source` starts `skipped` bytes before the run.
 * Bytes verified before a fault are yielded before the error is thrown. Closes the engine and the
 * source.
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

/**
 * Reads the batches and passes each to the engine; the promise is wrapped so that the generator
 * does not await it.
 */
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
