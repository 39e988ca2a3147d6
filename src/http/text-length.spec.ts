import { validateSync } from 'class-validator';
import { MaxLength, MinLength } from './text-length';

class Texts {
  @MaxLength(4)
  @MinLength(2)
  text: unknown;
}

function faults(text: unknown): string[] {
  return validateSync(Object.assign(new Texts(), { text })).flatMap(({ constraints = {} }) =>
    Object.values(constraints),
  );
}

describe('the length of a text', () => {
  it.each(['ab', 'abcd', '\u{1f600}\u{1f600}', '\u{1f600}'.repeat(4)])('is within its limits for %s', (text) =>
    expect(faults(text)).toEqual([]),
  );

  it('is counted in code points, variation selectors among them', () => {
    expect(faults('\u{1f600}')).toEqual(['text must be longer than or equal to 2 characters']);
    expect(faults('\u{1f600}'.repeat(5))).toEqual(['text must be shorter than or equal to 4 characters']);
    expect(faults('\ufe0f'.repeat(5))).toEqual(['text must be shorter than or equal to 4 characters']);
  });

  it('is that of a text alone', () => expect(faults(7)).toHaveLength(2));
});
