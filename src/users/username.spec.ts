import { parseUsername } from './username';

describe('A user name', () => {
  it.each([
    ['alice', 'alice'],
    ['Alice', 'alice'],
    ['A.b_c-9', 'a.b_c-9'],
    ['007', '007'],
    ['a'.repeat(64), 'a'.repeat(64)],
  ])('%s is stored as %s', (sent, stored) => expect(parseUsername(sent)).toBe(stored));

  it.each([
    ['empty', ''],
    ['of two characters', 'ab'],
    ['of 65 characters', 'a'.repeat(65)],
    ['with a leading dot', '.abc'],
    ['with a leading hyphen', '-abc'],
    ['with a space', 'a b c'],
    ['with a trailing newline', 'alice\n'],
    ['with a NUL', 'ali\0ce'],
    ['with a slash', 'ali/ce'],
    ['that is an e-mail address', 'alice@example.org'],
    ['with a dotless i', 'al\u0131ce'],
    ['with a dotted capital I, which lower case would fold', 'AL\u0130CE'],
    ['with a Kelvin sign, which lower case would fold', '\u212Aelvin'],
    ['in full-width letters, which NFKC would fold', '\uFF41\uFF4C\uFF49\uFF43\uFF45'],
    ['with a ligature, which NFKC would fold', 'o\uFB03ce'],
    ['with a Cyrillic look-alike', '\u0430lice'],
    ['with a combining mark', 'alice\u0301'],
    ['with a zero-width joiner', 'ali\u200Dce'],
    ['with a lone surrogate', 'alice\uD800'],
  ])('%s is refused', (_what, sent) => expect(parseUsername(sent)).toBeUndefined());
});
