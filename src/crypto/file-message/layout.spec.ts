import * as fc from 'fast-check';
import { FRAME_BYTES, MessageLayout } from './layout';

const HEADER = 300;
const sizes = fc.oneof(
  fc.nat({ max: 2 ** 40 }),
  fc
    .tuple(fc.nat({ max: 2 ** 24 }), fc.integer({ min: -2, max: 2 }))
    .map(([frames, offset]) => Math.max(0, frames * FRAME_BYTES + offset)),
);

describe('the layout of a message', () => {
  it('comes back from its total size', () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const layout = MessageLayout.ofPlaintext(HEADER, size);
        expect(MessageLayout.ofMessage(HEADER, layout.totalSize)).toEqual(layout);
        expect(layout.plaintextSize).toBe(size);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [0, 340, 1, 0],
    [1, 341, 1, 1],
    [FRAME_BYTES - 1, 340 + FRAME_BYTES - 1, 1, FRAME_BYTES - 1],
    [FRAME_BYTES, 340 + FRAME_BYTES, 1, FRAME_BYTES],
    [FRAME_BYTES + 1, 340 + FRAME_BYTES + 1 + 32, 2, 1],
    [2 * FRAME_BYTES, 340 + 2 * FRAME_BYTES + 32, 2, FRAME_BYTES],
  ])('of %i bytes has %i bytes in %i frames, the last of %i', (size, total, frames, lastBytes) => {
    expect(MessageLayout.ofPlaintext(HEADER, size)).toMatchObject({ totalSize: total, frames, lastBytes });
  });

  it.each([0, HEADER, HEADER + 39, 340 + FRAME_BYTES + 1, 340 + FRAME_BYTES + 31, -1, NaN, 2 ** 60])(
    'does not exist for a message of %p bytes',
    (total) => expect(MessageLayout.ofMessage(HEADER, total)).toBeUndefined(),
  );

  it('has its frames side by side, from the header to the end', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 * FRAME_BYTES }), (size) => {
        const layout = MessageLayout.ofPlaintext(HEADER, size);
        let next = HEADER;
        for (let frame = 1; frame <= layout.frames; frame++) {
          const { start, end } = layout.bytesOf(frame, frame);
          expect(start).toBe(next);
          next = end + 1;
        }
        expect(next).toBe(layout.totalSize);
      }),
    );
  });

  it('finds the frame of each byte', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 * FRAME_BYTES }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (size, at) => {
          const layout = MessageLayout.ofPlaintext(HEADER, size);
          const position = Math.min(size - 1, Math.floor(size * at));
          const frame = layout.frameOf(position);
          expect(position).toBeGreaterThanOrEqual(layout.plaintextStart(frame));
          expect(position).toBeLessThan(layout.plaintextStart(frame) + layout.plaintextBytes(frame));
        },
      ),
    );
  });
});
