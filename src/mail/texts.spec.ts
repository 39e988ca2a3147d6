import * as texts from './texts';

const CODE = '042042';
const withCode = [texts.loginCode, texts.enableEmailCode, texts.stepUpCode, texts.registrationCode];
const notices = (
  [
    'totp-added',
    'totp-removed',
    'email-added',
    'email-removed',
    'recovery-codes-replaced',
    'recovery-code-used',
  ] as const
).map((change) => texts.factorChanged('a@example.org', 'user-123', change));

describe('The texts of mails', () => {
  it.each(withCode)('have the code in the first line, before a name that may look like one', (text) => {
    const { text: body } = text('a@example.org', 'name.999999', CODE, 10);
    expect(/\b\d{6}\b/.exec(body)?.[0]).toBe(CODE);
    expect(body.split('\n')[0]).toContain(CODE);
  });

  it.each(withCode)('say how long the code is good', (text) => {
    expect(text('a@example.org', 'alice', CODE, 7).text.replaceAll('\n', ' ')).toContain('good for 7 minutes');
  });

  it('of a notice hold no code', () => {
    for (const { text } of [...notices, texts.alreadyRegistered('a@example.org')])
      expect(text).not.toMatch(/\b\d{6}\b/);
  });

  it('have short lines of plain ASCII, and subjects that nobody else has a word in', () => {
    const mails = [...withCode.map((text) => text('a@example.org', 'alice', CODE, 10)), ...notices];
    for (const { subject, text } of mails) {
      expect(text).toMatch(/^[\x20-\x7e\n]+$/);
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(76);
      expect(subject).not.toMatch(/alice|user-123|\d/);
    }
  });
});

describe('A user name in a mail to somebody who may not have chosen it', () => {
  it.each([
    ['alice', 'alice'],
    ['evil.example.com', 'evil[.]example[.]com'],
    ['www.evil.org', 'www[.]evil[.]org'],
    ['john.doe-7', 'john[.]doe-7'],
    ['18005551234', '1 8 0 0 5 5 5 1 2 3 4'],
    ['1-800-555.1234', '1 -8 0 0 -5 5 5 [.]1 2 3 4'],
    ['named-5884c5d79a', 'named-5884c5d79a'],
    ['user-1234567890', 'user-1234567890'],
  ])('%s is shown as %s', (username, shown) => {
    expect(texts.shownName(username)).toBe(shown);
    for (const text of withCode) {
      const body = text('a@example.org', username, CODE, 10).text.replaceAll('\n', ' ');
      expect(body).toContain(`"${shown}"`);
      expect(shown === username || !body.includes(username)).toBe(true);
    }
  });
});

describe('What a mail asks for', () => {
  it('is there: no route changes a password', () => {
    const mails = [...withCode.map((text) => text('a@example.org', 'alice', CODE, 10)), ...notices];
    for (const { text } of mails) expect(text.replaceAll('\n', ' ')).not.toMatch(/change (it|your password)/);
  });
});
