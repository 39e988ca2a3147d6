import fc from 'fast-check';
import { KeyPart } from '../collection';
import { wellFormed } from '../well-formed';
import { encodeKey, endOf } from './key-encoding';

const NOTHING = Buffer.alloc(0);
const key = (...parts: KeyPart[]): Buffer => encodeKey(NOTHING, parts);

/** Short enough to keep the order; with the characters that could end or escape a part. */
const text = fc
  .array(fc.oneof(fc.constantFrom('\0', '\u0001', '\u00ff', '\uffff', 'a', 'b'), fc.string({ unit: 'binary' })), {
    maxLength: 5,
  })
  .map((pieces) => wellFormed(pieces.join('')))
  .filter((joined) => Buffer.byteLength(joined) <= 192);
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const part = fc.oneof(text, number, fc.boolean());

const sign = (value: number): number => Math.sign(value);

describe('the encoding of keys', () => {
  it('sorts texts by their code points', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(sign(key(a).compare(key(b)))).toBe(sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });

  it('sorts numbers by their size', () => {
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(sign(key(a).compare(key(b)))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it('sorts compound keys part by part', () => {
    fc.assert(
      fc.property(text, number, text, number, (a, m, b, n) => {
        const first = sign(key(a).compare(key(b)));
        expect(sign(key(a, m).compare(key(b, n)))).toBe(first === 0 ? sign(key(m).compare(key(n))) : first);
      }),
    );
  });

  it('gives no two lists of parts the same bytes', () => {
    const list = fc.array(part, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(list, list, (a, b) => {
        expect(key(...a).equals(key(...b))).toBe(a.length === b.length && a.every((each, at) => each === b[at]));
      }),
    );
  });

  it('puts exactly the keys that start with a list of parts into its range', () => {
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 2 }),
        fc.array(part, { minLength: 1, maxLength: 3 }),
        (prefix, parts) => {
          const [start, end, encoded] = [key(...prefix), endOf(key(...prefix)), key(...parts)];
          const isInside = start.compare(encoded) <= 0 && encoded.compare(end) < 0;
          expect(isInside).toBe(prefix.every((each, at) => each === parts[at]));
        },
      ),
    );
  });

  it.each([
    ['of one letter', 'x'.repeat(100_000), 'x'.repeat(100_001)],
    ['that differ at the end only', `${'é'.repeat(500)}a`, `${'é'.repeat(500)}b`],
    ['cut inside a pair of surrogates', `${'x'.repeat(127)}${'👍'.repeat(50)}`, `${'x'.repeat(127)}${'👎'.repeat(50)}`],
    ['of zeros', '\0'.repeat(500), '\0'.repeat(501)],
  ])('keeps texts of any length apart and short enough for LMDB: two %s', (_what, a, b) => {
    expect(key(a).equals(key(b))).toBe(false);
    expect(key(a, a, a, a).length).toBeLessThanOrEqual(1_978 - 100);
  });

  it('does not let a short text pass for a long one', () => {
    const long = 'x'.repeat(1_000);
    const shortened = key(long).subarray(1, -1).toString('utf8');
    expect(key(shortened).equals(key(long))).toBe(false);
  });

  it('refuses a key that LMDB could not hold', () => {
    const parts = Array.from({ length: 7 }, () => 'é'.repeat(1_000));
    expect(() => key(...parts)).toThrow(TypeError);
  });
});
