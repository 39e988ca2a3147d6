import { dictionary } from '@zxcvbn-ts/language-common';
import { isCommonPassword } from './common-passwords';

describe('isCommonPassword', () => {
  it('knows more than the 3,000 that ASVS 6.2.4 asks for', () => {
    expect(dictionary['passwords-common'].length).toBeGreaterThan(3000);
  });

  it.each(['password', 'Password', 'P@ssw0rd', 'qwertyuiop', '1qaz@WSX'])('finds %s, whatever its case', (password) => {
    expect(isCommonPassword(password)).toBe(true);
  });

  it.each(['', 'Tr0ub4dor&3-horse', 'constructor!', '__proto__'])('does not find %p', (password) => {
    expect(isCommonPassword(password)).toBe(false);
  });
});
