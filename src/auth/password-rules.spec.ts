import { requireStrongPassword } from './password-rules';

const context = { username: 'testuser', email: 'test.address@example.org' };
/** The rule's objection to a password; undefined if the rule accepts it. */
function verdict(password: string, rule: 'classic' | 'length'): unknown {
  try {
    requireStrongPassword(password, rule, context);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('The classic password rule', () => {
  it.each([
    ["the specification's example", 'StrongP@ssw0rd1!'],
    ['eight characters', 'Xq7!abcd'],
    ['64 characters', `Aa1!${'x'.repeat(60)}`],
    ['1,024 bytes', `Aa1!${'x'.repeat(1020)}`],
    ['spaces at the ends, as sent', ' Xq7abcd '],
    ['letters and digits outside ASCII', 'Ünïcödé\u0667!'],
    ['an emoji as the special character', 'Xq7abcd😀'],
  ])('accepts %s', (_what, password) => expect(verdict(password, 'classic')).toBeUndefined());

  it.each([
    ['nothing', ''],
    ['seven characters', 'Xq7!abc'],
    ['seven characters of which one takes two UTF-16 units', 'Xq7abc😀'],
    ['no uppercase letter', 'xq7!abcd'],
    ['no digit', 'Xqx!abcd'],
    ['no special character', 'Xq7xabcd'],
    ['one of the common list, in another case', 'P@ssw0rd'],
    ['one of the first of them, with an ending that the rule asks for', 'Password1!'],
    ['1,025 bytes', `Aa1!${'x'.repeat(1021)}`],
    ['1,025 bytes in fewer characters', `Aa1!${'é'.repeat(511)}`],
    ['a lone surrogate', 'Xq7!abcd\uD800'],
    ['the e-mail address', 'Test.Address@example.org'],
    ['the user name in it', 'My-TestUser-7'],
    ['the local part of the address in it', 'X7-TEST.address'],
    ['the name of the service in it', 'My-Coffer-7-Key'],
  ])('refuses %s', (_what, password) => {
    expect(verdict(password, 'classic')).toMatchObject({ code: 'weak_password' });
  });

  it('says what is missing, and never what was sent', () => {
    expect(verdict('xq7!abcd', 'classic')).toMatchObject({
      fields: [{ pointer: '/password', message: 'It needs an uppercase letter.' }],
    });
  });
});

describe('The length rule of ASVS', () => {
  it.each(['correct horse battery staple', 'x'.repeat(7) + 'yzw' + 'k'.repeat(12)])(
    'asks for no composition: %s',
    (password) => expect(verdict(password, 'length')).toBeUndefined(),
  );

  it.each([
    ['14 characters', 'correct horses'],
    ['the user name in it', 'my name is TestUser, hello'],
    ['the local part of the address in it', 'write to test.address please'],
    ['the name of the service in it', 'my coffer holds it all'],
    ['1,025 bytes', 'x'.repeat(1025)],
  ])('refuses %s', (_what, password) => {
    expect(verdict(password, 'length')).toMatchObject({ code: 'weak_password' });
  });
});
