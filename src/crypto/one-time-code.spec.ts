import { SecretBytes } from '../kernel';
import { codeMatches, oneTimeCode } from './one-time-code';

const key = new SecretBytes(Buffer.alloc(32, 7));

describe('oneTimeCode', () => {
  it('is the same at a resend', () => {
    expect(oneTimeCode(key, 'c1', 'login', 's1')).toBe(oneTimeCode(key, 'c1', 'login', 's1'));
  });

  it('has six digits, leading zeros kept', () => {
    const codes = Array.from({ length: 500 }, (_, index) => oneTimeCode(key, `c${index}`, 'login', undefined));
    expect(codes.filter((code) => !/^\d{6}$/.test(code))).toEqual([]);
    expect(codes.some((code) => code.startsWith('0'))).toBe(true);
  });

  it.each([
    ['another challenge', oneTimeCode(key, 'c2', 'login', 's1')],
    ['another purpose', oneTimeCode(key, 'c1', 'step-up', 's1')],
    ['another session', oneTimeCode(key, 'c1', 'login', 's2')],
    ['no session', oneTimeCode(key, 'c1', 'login', undefined)],
    ['another key', oneTimeCode(new SecretBytes(Buffer.alloc(32, 8)), 'c1', 'login', 's1')],
  ])('is another for %s', (_name, code) => {
    expect(codeMatches(oneTimeCode(key, 'c1', 'login', 's1'), code)).toBe(false);
  });

  it('keeps its derivation, so that a code survives an upgrade', () => {
    expect(oneTimeCode(key, 'c1', 'login', 's1')).toMatchInlineSnapshot(`"200908"`);
  });
});

describe('codeMatches', () => {
  it('takes the code itself', () => expect(codeMatches('012345', '012345')).toBe(true));
  it('takes it with blanks around it', () => expect(codeMatches('012345', ' 012345 ')).toBe(true));
  it.each(['', '12345', '0123456', '012345 6', '012346'])('refuses %p', (given) =>
    expect(codeMatches('012345', given)).toBe(false),
  );
});
