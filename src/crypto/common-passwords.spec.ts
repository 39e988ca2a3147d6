import { dictionary } from '@zxcvbn-ts/language-common';
import { isCommonPassword } from './common-passwords';

describe('isCommonPassword', () => {
  it('knows more than the 3,000 that ASVS 6.2.4 asks for', () => {
    expect(dictionary['passwords-common'].length).toBeGreaterThan(3000);
  });

  it.each(['password', 'Password', 'P@ssw0rd', 'qwertyuiop', '1qaz@WSX'])('finds %s, whatever its case', (password) => {
    expect(isCommonPassword(password)).toBe(true);
  });

  it.each(['Password1!', 'P@ssw0rd1!', 'Pa$$word2024!', 'Passw0rd!', 'Qwerty123!', 'Welcome1!', 'Adm1n@123'])(
    'finds %s, which is one of the first with an ending that pleases a rule',
    (password) => expect(isCommonPassword(password)).toBe(true),
  );

  it.each(['StrongP@ssw0rd1!', 'Password1!-of-Alice', 'Passw0rd1234567', 'MyP@ssw0rd1!', '1!', 'Admiral@123'])(
    'does not take %s for one',
    (password) => expect(isCommonPassword(password)).toBe(false),
  );

  it.each(['', 'Tr0ub4dor&3-horse', 'constructor!', '__proto__'])('does not find %p', (password) => {
    expect(isCommonPassword(password)).toBe(false);
  });
});
