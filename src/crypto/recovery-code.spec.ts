import { SecretBytes } from '../kernel';
import { newRecoveryCode, parseRecoveryCode, recoveryCodeHash } from './recovery-code';

const key = new SecretBytes(Buffer.alloc(32, 7));

describe('a recovery code', () => {
  it('has 24 letters of Crockford in groups of four', () => {
    expect(newRecoveryCode()).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/);
  });

  it('is never the same twice', () => {
    const codes = Array.from({ length: 1000 }, newRecoveryCode);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it.each([
    ['without hyphens', '0123456789ABCDEFGHJKMNPQ'],
    ['in lower case', '0123-4567-89ab-cdef-ghjk-mnpq'],
    ['with spaces and look-alikes', ' oi23 4567 89ab cdef ghjk mnpq '],
    ['with an L for a one', 'OL23456789ABCDEFGHJKMNPQ'],
  ])('is read %s', (_name, typed) => {
    expect(parseRecoveryCode(typed)).toBe('0123456789ABCDEFGHJKMNPQ');
  });

  it.each(['', '0123', '0123456789ABCDEFGHJKMNPU', '0123456789ABCDEFGHJKMNPQR', '0'.repeat(100_000)])(
    'is not read from %.30p',
    (typed) => expect(recoveryCodeHash(key, 'u1', typed)).toBeUndefined(),
  );

  it("has a hash that is one user's alone", () => {
    const code = newRecoveryCode();
    expect(recoveryCodeHash(key, 'u1', code)).not.toBe(recoveryCodeHash(key, 'u2', code));
  });

  it('has the same hash however it is typed', () => {
    const code = newRecoveryCode();
    expect(recoveryCodeHash(key, 'u1', code.toLowerCase().replaceAll('-', ''))).toBe(recoveryCodeHash(key, 'u1', code));
  });
});
