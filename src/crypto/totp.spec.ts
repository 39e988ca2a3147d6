import { SecretBytes } from '../kernel';
import { newTotpSecret, totpCode, totpSecretText, totpStep, totpUri } from './totp';

/** The secret of RFC 4226 appendix D and RFC 6238 appendix B. */
const secret = new SecretBytes(Buffer.from('12345678901234567890'));

describe('a TOTP code', () => {
  it.each(
    [755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489].map((code, step) => ({
      step,
      code,
    })),
  )('is $code at count $step (RFC 4226)', ({ step, code }) => expect(totpCode(secret, step)).toBe(String(code)));

  it.each([
    { seconds: 59, code: '94287082' },
    { seconds: 1111111109, code: '07081804' },
    { seconds: 1111111111, code: '14050471' },
    { seconds: 1234567890, code: '89005924' },
    { seconds: 2000000000, code: '69279037' },
    { seconds: 20000000000, code: '65353130' },
  ])('is the last six digits of $code at $seconds seconds (RFC 6238)', ({ seconds, code }) => {
    expect(totpStep(secret, code.slice(2), seconds * 1000, undefined)).toBe(Math.floor(seconds / 30));
  });
});

describe('totpStep', () => {
  const step = 1000;
  const now = step * 30_000 + 29_999;

  it('takes the code of a phone that runs one step ahead', () => {
    expect(totpStep(secret, totpCode(secret, step + 1), now, undefined)).toBe(step + 1);
  });

  it('takes the code of the step before', () => {
    expect(totpStep(secret, totpCode(secret, step - 1), now, undefined)).toBe(step - 1);
  });

  it.each([-2, 2])('refuses the code of the step at %i', (offset) => {
    expect(totpStep(secret, totpCode(secret, step + offset), now, undefined)).toBeUndefined();
  });

  it('refuses a step that was used', () => {
    expect(totpStep(secret, totpCode(secret, step), now, step)).toBeUndefined();
  });

  it('refuses the step before one that was used', () => {
    expect(totpStep(secret, totpCode(secret, step - 1), now, step)).toBeUndefined();
  });

  it('refuses everything while the clock is behind the last step', () => {
    expect(totpStep(secret, totpCode(secret, step), now, step + 240)).toBeUndefined();
  });

  it.each(['', '12345', '1234567', ' 123456', '12345a', '１２３４５６'])('refuses %p, which is no code', (code) => {
    expect(totpStep(secret, code, now, undefined)).toBeUndefined();
  });

  it('refuses the code of another secret', () => {
    expect(totpStep(newTotpSecret(), totpCode(secret, step), now, undefined)).toBeUndefined();
  });
});

describe('a TOTP secret', () => {
  it('has 160 bits', () => expect(newTotpSecret()).toHaveLength(20));

  it('is written in base32', () => expect(totpSecretText(secret)).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'));

  it('makes a URI that escapes its label', () => {
    expect(totpUri(secret, 'a&b@example.org')).toBe(
      'otpauth://totp/Coffer:a%26b%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Coffer',
    );
  });
});
