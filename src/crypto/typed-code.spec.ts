import { oneTimeCode, codeMatches } from './one-time-code';
import { parseRecoveryCode } from './recovery-code';
import { totpCode, totpStep } from './totp';
import { typedCode, typedToken } from './typed-code';
import { SecretBytes } from '../kernel';

/** Forms in which people, phones and mail programs deliver the six digits 012345. */
const TYPED: readonly [string, string][] = [
  ['blanks', ' 012 345\t\n'],
  ['a no-break blank and a thin one', '012\u00a0\u2009345'],
  ['an ideographic blank', '012\u3000345'],
  ['a hyphen', '012-345'],
  ['a non-breaking hyphen, en dash, em dash and minus', '0\u20111\u20132\u20143\u2212' + '45'],
  ['a full-width hyphen and a Japanese long mark', '012\uff0d3\u30fc45'],
  ['Arabic digits', '\u0660\u0661\u0662\u0663\u0664\u0665'],
  ['Persian digits', '\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5'],
  ['Devanagari digits', '\u0966\u0967\u0968\u0969\u096a\u096b'],
  ['full-width digits', '\uff10\uff11\uff12\uff13\uff14\uff15'],
  ['digits of a script whose rows touch', '\u{116da}\u{116db}\u{116dc}\u{116dd}\u{116de}\u{116df}'],
  ['a zero-width blank and a byte order mark', '\ufeff012\u200b345'],
  ['direction marks', '\u200e\u202d012345\u202c'],
  ['a soft hyphen and a variation selector', '012\u00ad3\ufe0f45'],
];

describe('A code that was typed', () => {
  it.each(TYPED)('with %s is read', (_what, text) => expect(typedCode(text)).toBe('012345'));

  it('has the ten digits of every script', () => {
    const digits = Array.from({ length: 0x20000 }, (_, point) => point)
      .filter((point) => point < 0xd800 || point > 0xdfff)
      .map((point) => String.fromCodePoint(point))
      .filter((character) => /\p{Nd}/u.test(character));
    const read = digits.map((digit) => typedCode(digit)).join('');
    expect(digits.length).toBeGreaterThan(600);
    expect(read).toBe('0123456789'.repeat(digits.length / 10));
  });

  it.each(['012.345', 'abc', '01234'])('%s stays another', (text) => expect(typedCode(text)).toBe(text));

  it('keeps its dashes as such where they are part of it', () =>
    expect(typedToken(' 0a\u2011b\u2013c_D\u200b\n')).toBe('0a-b-c_D'));
});

describe('All codes that a person types', () => {
  const key = new SecretBytes(Buffer.alloc(32, 7));
  const arabic = (digits: string): string =>
    digits.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit)));

  it('are read alike: by e-mail, of an app, for recovery', () => {
    const mailed = oneTimeCode(key, 'challenge', 'login', 'session');
    expect(codeMatches(mailed, `${arabic(mailed.slice(0, 3))}\u2011${mailed.slice(3)}\u200b`)).toBe(true);
    const app = totpCode(key, 100);
    expect(totpStep(key, `\u200e${arabic(app.slice(0, 3))}\u00a0${app.slice(3)}`, 100 * 30_000, undefined)).toBe(100);
    const recovery = 'ABCD0123'.repeat(3);
    expect(parseRecoveryCode(`abcd\u2013\uff10${arabic('123')}\u200b ABCD\u2212o123 abcd0i23`)).toBe(recovery);
  });
});
