import * as fc from 'fast-check';
import { ContextPart, encodeContext } from './context';

const part: fc.Arbitrary<ContextPart> = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.nat(),
  fc.constant(undefined),
);

describe('encodeContext', () => {
  it('keeps its bytes for ever', () => {
    expect(encodeContext(['ab', 7, undefined, '']).toString('hex')).toBe(
      '00000004' +
        '01' +
        '00000002' +
        '6162' +
        '02' +
        '00000008' +
        '0000000000000007' +
        '00' +
        '00000000' +
        '01' +
        '00000000',
    );
  });

  it.each([
    [2 ** 32 - 1, '00000000ffffffff'],
    [2 ** 32, '0000000100000000'],
    [Number.MAX_SAFE_INTEGER, '001fffffffffffff'],
  ])('writes the number %d in eight bytes, highest first', (number, hex) => {
    expect(encodeContext([number]).toString('hex').slice(-16)).toBe(hex);
  });

  it('counts the bytes of a text and not its letters', () => {
    expect(encodeContext(['\u00fc\u{1f511}']).toString('hex')).toBe('00000001' + '01' + '00000006' + 'c3bcf09f9491');
  });

  it('gives unlike lists unlike bytes', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), fc.array(part, { maxLength: 6 }), (one, other) => {
        const same = one.length === other.length && one.every((value, index) => value === other[index]);
        expect(encodeContext(one).equals(encodeContext(other))).toBe(same);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['bytes that moved to the next field', ['ab', 'c'], ['a', 'bc']],
    ['an absent field and an empty one', [undefined], ['']],
    ['a number and its digits', [1], ['1']],
    ['a list and one with an absent field more', ['a'], ['a', undefined]],
  ])('tells apart %s', (_name, one, other) => {
    expect(encodeContext(one).equals(encodeContext(other))).toBe(false);
  });

  it.each([-1, 1.5, NaN, 2 ** 53])('refuses the number %p', (number) => {
    expect(() => encodeContext([number])).toThrow(TypeError);
  });

  it('refuses a lone surrogate, which UTF-8 cannot tell from another', () => {
    expect(() => encodeContext(['\ud800'])).toThrow(TypeError);
  });
});
