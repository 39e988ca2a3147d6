import { DomainError } from '../kernel';
import { JSON_LIMITS, parseStrictJson } from './strict-json';

const parse = (text: string): unknown => parseStrictJson(Buffer.from(text));

function refusal(text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof DomainError) return error.message;
    throw error;
  }
  return 'accepted';
}

const times = (count: number, make: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => make(at)).join();
const object = (members: number): string => `{${times(members, (at) => `"k${at}":${at}`)}}`;
const array = (elements: number, element = '0'): string => `[${times(elements, () => element)}]`;

describe('the limits of a JSON body', () => {
  it('allow 1,000 members an object and no more, in every object', () => {
    expect(refusal(object(1_000))).toBe('accepted');
    expect(refusal(object(1_001))).toBe('An object has more than 1000 members.');
    expect(refusal(`{"a":[1,${object(1_001)}]}`)).toBe('An object has more than 1000 members.');
    expect(refusal(array(3, object(1_000)))).toBe('accepted');
  });

  it('allow 10,000 elements an array and no more', () => {
    expect(refusal(array(10_000))).toBe('accepted');
    expect(refusal(array(10_001))).toBe('An array has more than 10000 elements.');
    expect(refusal(`{"a":{"b":${array(10_001)}}}`)).toBe('An array has more than 10000 elements.');
  });

  it('allow 32 levels and no more', () => {
    expect(refusal(`${'['.repeat(32)}${']'.repeat(32)}`)).toBe('accepted');
    expect(refusal(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toBe('The body is nested deeper than 32 levels.');
  });

  it('allow 50,000 values in all: many small ones cost as much as one large one', () => {
    expect(refusal(array(4, array(10_000)))).toBe('accepted');
    expect(refusal(array(8, array(9_000)))).toBe(`The body holds more than ${JSON_LIMITS.values} values.`);
    expect(refusal(array(6_000, '{"a":1,"b":2,"c":[],"d":[],"e":[]}'))).toMatch(/more than 50000 values/);
  });

  it('hold before anything is built of the text', () => {
    const built = jest.spyOn(JSON, 'parse');
    refusal(object(100_000));
    refusal(array(100_000));
    refusal('['.repeat(500_000));
    expect(built).not.toHaveBeenCalled();
    built.mockRestore();
  });

  it('do not count what stands in a string', () => {
    expect(parse(`{"a":"${',[{'.repeat(20_000)}"}`)).toEqual({ a: ',[{'.repeat(20_000) });
  });
});

describe('text that is no JSON', () => {
  it.each([
    '"open',
    '"open\\',
    '"a\\u12"',
    '{"a":1',
    ']',
    '}',
    '{,}',
    '[1,]',
    '',
    '{"\\x":1}',
    '{"a" 1}',
    ':',
    '"a""b"',
  ])('%s is refused', (text) => expect(refusal(text)).toBe('The body is not JSON.'));

  it('with a key twice is refused beyond the first few names too', () => {
    const names = times(20, (at) => `"k${at}":1`);
    expect(refusal(`{${names},"k3":1}`)).toBe('An object has the same key twice.');
    expect(refusal(`{${names},"k19":1}`)).toBe('An object has the same key twice.');
    expect(refusal(`{${names},"k20":1}`)).toBe('accepted');
  });

  it('is built as JSON.parse builds it', () => {
    const text = '{"a":[1,-2.5e3,null,true,"\\n\\u00e9\\ud83d\\ude00"],"b":{"c":{},"d":[]},"":""}';
    expect(parse(text)).toEqual(JSON.parse(text));
  });
});

describe('a byte order mark before JSON', () => {
  it.each([
    ['UTF-8', Buffer.from('\ufeff{"a":1}', 'utf8')],
    ['UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le')],
  ])('in %s is refused', (_what, bytes) => {
    expect(() => parseStrictJson(bytes)).toThrow(DomainError);
  });
});
