import { type Person, signUp, type Tokens } from '../../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, firstStep, recoveryCodes, withEmailFactor, withTotp } from '../../../test/support/second-factors';
import { HOUR, MINUTE } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { challengesCollection } from '../factors/challenge.collection';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const nobody = (): Client => coffer.client;
const verify = (person: Person, mfa_token: string, otp: string): Promise<Answer> =>
  nobody().post('/verify-otp', { username: person.username, mfa_token, otp });
const lastCode = async ({ email }: Person): Promise<string> => (await coffer.codes(email)).at(-1)!;
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');
const user = async (person: Person) => coffer.get(Store).collection(usersCollection).find('username', person.username);

/** A token that has expired when it is used. */
async function expiredToken({ client, clock }: Coffer): Promise<string> {
  const { client: session } = await signUp(client);
  clock.offset += 2 * HOUR;
  return `Bearer ${session.token}`;
}

describe('A login with e-mail as its second factor', () => {
  it('mails a code at once, says so, and gives the tokens of a login for it', async () => {
    const { person } = await withEmailFactor(coffer);
    const first = await firstStep(nobody(), person);
    expect(first).toEqual({
      message: '2FA required',
      username: person.username,
      mfa_token: expect.any(String),
      methods: ['email'],
      otp_sent: true,
    });
    const tokens = expectStatus(await verify(person, first.mfa_token, await lastCode(person)), 200);
    expect(Object.keys(tokens as object).sort()).toEqual(['access_token', 'expires_in', 'refresh_token', 'token_type']);
  });

  it.each([
    ['an expired token', (coffer: Coffer) => expiredToken(coffer)],
    ["a token of somebody else's service", () => Promise.resolve('Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln')],
    ['the login of a proxy', () => Promise.resolve('Basic cHJveHk6cHJveHk=')],
    ['no token at all', () => Promise.resolve('Bearer')],
  ])('goes on beside %s in the Authorization header, as /login does', async (_what, header) => {
    const { person } = await withEmailFactor(coffer);
    const authorization = await header(coffer);
    const { username } = person;
    const { mfa_token } = await firstStep(nobody(), person);
    coffer.clock.offset += MINUTE;
    expectStatus(await nobody().post('/send-otp', { username, mfa_token }, { headers: { authorization } }), 200);
    const body = { username, mfa_token, otp: await lastCode(person) };
    expectStatus(await nobody().post('/verify-otp', body, { headers: { authorization } }), 200);
    const bare = await nobody().post('/send-otp', { username }, { headers: { authorization } });
    expect({ status: bare.status, code: (bare.json as { code: string }).code }).toEqual({
      status: 401,
      code: expect.stringMatching(/^(unauthenticated|token_expired)$/),
    });
  });

  it('takes its code as people type it', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    const arabic = code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit)));
    expectStatus(await verify(person, mfa_token, `\u200e${arabic.slice(0, 3)}\u2011${arabic.slice(3)}\u200b`), 200);
  });

  it('sends the same code again, a minute later and not before', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username } = person;
    const { mfa_token } = await firstStep(nobody(), person);
    const early = await nobody().post('/send-otp', { username, mfa_token });
    expectProblem(early, 429, 'too_many_attempts');
    expect(Number(early.headers['retry-after'])).toBeGreaterThan(50);
    coffer.clock.offset += MINUTE;
    const again = await nobody().post('/send-otp', { username, mfa_token });
    expect(expectStatus(again, 200)).toEqual({ message: 'OTP sent to your email' });
    const codes = (await coffer.codes(person.email)).slice(-2);
    expect(codes[0]).toBe(codes[1]);
    expectStatus(await verify(person, mfa_token, codes[1]!), 200);
  });

  it('sends one mail for thirty requests at once', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username } = person;
    const { mfa_token } = await firstStep(nobody(), person);
    coffer.clock.offset += MINUTE;
    const before = (await coffer.codes(person.email)).length;
    const send = (): Promise<Answer> => nobody().post('/send-otp', { username, mfa_token });
    const answers = await Promise.all(Array.from({ length: 30 }, send));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect((await coffer.codes(person.email)).length).toBe(before + 1);
  });

  it('mails ten times an hour to one address, over all its logins', async () => {
    const { person } = await withEmailFactor(coffer);
    const sent = [];
    for (let logins = 0; logins < 11; logins += 1) sent.push((await firstStep(nobody(), person)).otp_sent);
    // One mail enabled the factor, and one notified the owner.
    expect(sent).toEqual([...Array<boolean>(8).fill(true), false, false, false]);
    const { mfa_token } = await firstStep(nobody(), person);
    expectProblem(await nobody().post('/send-otp', { username: person.username, mfa_token }), 429, 'too_many_attempts');
  });

  it('accepts a code once, whoever asks at the same time', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    const answers = await Promise.all(Array.from({ length: 50 }, () => verify(person, mfa_token, code)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect(answers.every(({ status }) => [200, 401, 429].includes(status))).toBe(true);
  });

  it('is out of tries after five wrong codes: the right one does not help, and no resend does', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    for (let tries = 0; tries < 5; tries += 1) {
      expectProblem(await verify(person, mfa_token, wrong(code)), 401, 'otp_failed');
    }
    expectProblem(await verify(person, mfa_token, code), 401, 'otp_failed');
    coffer.clock.offset += MINUTE;
    const resend = await nobody().post('/send-otp', { username: person.username, mfa_token });
    expectProblem(resend, 401, 'invalid_session');
  });

  it('compares five of two hundred wrong codes at once', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    await Promise.all(Array.from({ length: 200 }, () => verify(person, mfa_token, wrong(code))));
    const { items } = await coffer
      .get(Store)
      .collection(challengesCollection)
      .list('user', [(await user(person))!._id], { limit: 10 });
    expect(items.filter(({ purpose }) => purpose === 'login').map(({ tries }) => tries)).toEqual([5]);
    expect((await user(person))?.factor_failures.length).toBeLessThanOrEqual(10);
    expect((await verify(person, mfa_token, code)).status).not.toBe(200);
  });

  it('refuses the code of another login of the same account', async () => {
    const { person } = await withEmailFactor(coffer);
    const first = await firstStep(nobody(), person);
    const firstCode = await lastCode(person);
    const second = await firstStep(nobody(), person);
    expectProblem(await verify(person, second.mfa_token, firstCode), 401, 'otp_failed');
    expectStatus(await verify(person, first.mfa_token, firstCode), 200);
  });

  it('is over after ten minutes', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    coffer.clock.offset += 10 * MINUTE;
    expectProblem(await verify(person, mfa_token, code), 401, 'otp_failed');
    const resend = await nobody().post('/send-otp', { username: person.username, mfa_token });
    expectProblem(resend, 401, 'invalid_session');
  });
});

describe('The token of a first step', () => {
  it('is good for nothing else', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    for (const path of ['/me', '/sessions', '/2fa', '/sensitive-data']) {
      expectProblem(await nobody().as(mfa_token).get(path), 401, 'unauthenticated');
    }
    expectProblem(await nobody().post('/token/refresh', { refresh_token: mfa_token }), 401, 'invalid_session');
  });

  it('takes no token of another kind for an mfa_token', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username } = person;
    const { mfa_token } = await firstStep(nobody(), person);
    const tokens = expectStatus(await verify(person, mfa_token, await lastCode(person)), 200) as Tokens;
    for (const other of [tokens.access_token, tokens.refresh_token]) {
      expectProblem(await verify(person, other, '123456'), 401, 'otp_failed');
      expectProblem(await nobody().post('/send-otp', { username, mfa_token: other }), 401, 'invalid_session');
    }
  });

  it.each(['/send-otp', '/verify-otp'])('%s does not take null for an mfa_token that is absent', async (path) => {
    const body = { username: 'somebody', mfa_token: null, ...(path === '/verify-otp' && { otp: '123456' }) };
    expectProblem(await nobody().post(path, body), 400, 'validation_failed');
  });

  it.each([
    ['made up', () => `mfa.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.${'A'.repeat(43)}`],
    ['empty', () => ''],
    ['with another MAC', (token: string) => token.slice(0, -2) + (token.endsWith('AA') ? 'BB' : 'AA')],
    ['cut short', (token: string) => token.slice(0, -1)],
    ['with something behind it', (token: string) => `${token}A`],
  ])('that is %s is refused', async (_what, forge) => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const forged = forge(mfa_token);
    expectProblem(await verify(person, forged, await lastCode(person)), 401, 'otp_failed');
    const send = await nobody().post('/send-otp', { username: person.username, mfa_token: forged });
    expectProblem(send, 401, 'invalid_session');
  });

  it('is refused with the name of somebody else', async () => {
    const { person } = await withEmailFactor(coffer);
    const { person: other } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const code = await lastCode(person);
    expectProblem(await verify(other, mfa_token, code), 401, 'otp_failed');
    const send = await nobody().post('/send-otp', { username: other.username, mfa_token });
    expectProblem(send, 401, 'invalid_session');
    expectStatus(await verify(person, mfa_token, code), 200);
  });

  it('is asked for: a name and a code alone get nobody anywhere', async () => {
    const { person } = await withEmailFactor(coffer);
    await firstStep(nobody(), person);
    const { username } = person;
    expectProblem(await nobody().post('/verify-otp', { username, otp: await lastCode(person) }), 401, 'otp_failed');
    expectProblem(await nobody().post('/send-otp', { username }), 401, 'invalid_session');
  });

  it('is refused once the account is disabled', async () => {
    const { person } = await withEmailFactor(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    const row = (await user(person))!;
    await coffer
      .get(Store)
      .collection(usersCollection)
      .replace({ ...row, state: 'disabled' });
    expectProblem(await verify(person, mfa_token, await lastCode(person)), 403, 'account_disabled');
  });
});

describe('A login with an authenticator app', () => {
  it('is not sent a code, and cannot have one sent: e-mail is no factor of it', async () => {
    const { person } = await withTotp(coffer);
    const { methods, otp_sent, mfa_token } = await firstStep(nobody(), person);
    expect({ methods, otp_sent }).toEqual({ methods: ['totp'], otp_sent: false });
    const send = await nobody().post('/send-otp', { username: person.username, mfa_token });
    expectProblem(send, 403, 'permission_denied');
    expect(await coffer.codes(person.email)).toEqual([]);
  });

  it('accepts a step once, over all logins', async () => {
    const { person, secret } = await withTotp(coffer);
    const logins = [];
    for (let count = 0; count < 3; count += 1) logins.push(await firstStep(nobody(), person));
    const otp = codeOf(coffer, secret);
    const answers = await Promise.all(logins.map(({ mfa_token }) => verify(person, mfa_token, otp)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
  });

  it('accepts a step once, also when the clock goes back', async () => {
    const { person, secret } = await withTotp(coffer);
    const otp = codeOf(coffer, secret);
    expectStatus(await verify(person, (await firstStep(nobody(), person)).mfa_token, otp), 200);
    coffer.clock.offset -= 30_000;
    const { mfa_token } = await firstStep(nobody(), person);
    expectProblem(await verify(person, mfa_token, otp), 401, 'otp_failed');
    expectProblem(await verify(person, mfa_token, codeOf(coffer, secret)), 401, 'otp_failed');
    coffer.clock.offset += 60_000;
    expectStatus(await verify(person, mfa_token, codeOf(coffer, secret)), 200);
  });

  it.each([
    ['two steps old', -2],
    ['of a step to come', 2],
  ])('refuses a code that is %s', async (_what, steps) => {
    const { person, secret } = await withTotp(coffer);
    coffer.clock.offset += 90_000;
    const { mfa_token } = await firstStep(nobody(), person);
    expectProblem(await verify(person, mfa_token, codeOf(coffer, secret, steps)), 401, 'otp_failed');
  });

  it('has ten tries in 15 minutes, over all logins and factors; then the right code is refused too', async () => {
    const { person, secret, client } = await withTotp(coffer);
    const [recovery] = await recoveryCodes(client);
    const bad = wrong(codeOf(coffer, secret));
    for (let logins = 0; logins < 2; logins += 1) {
      const { mfa_token } = await firstStep(nobody(), person);
      for (let tries = 0; tries < 4; tries += 1) expectProblem(await verify(person, mfa_token, bad), 401, 'otp_failed');
      expectProblem(await verify(person, mfa_token, 'ABCD-EFGH-JKMN-PQRS-TVWX-YZ01'), 401, 'otp_failed');
    }
    const { mfa_token } = await firstStep(nobody(), person);
    expectProblem(await verify(person, mfa_token, codeOf(coffer, secret)), 429, 'too_many_attempts');
    expectProblem(await verify(person, mfa_token, recovery!), 429, 'too_many_attempts');
    const stepUp = { password: person.password, otp: codeOf(coffer, secret) };
    expectProblem(await client.post('/step-up', stepUp), 429, 'too_many_attempts');
    coffer.clock.offset += 15 * MINUTE;
    const later = await firstStep(nobody(), person);
    expectStatus(await verify(person, later.mfa_token, codeOf(coffer, secret)), 200);
  });

  it('keeps its budget apart from the password: wrong passwords do not use it up', async () => {
    const { person, secret } = await withTotp(coffer);
    const { mfa_token } = await firstStep(nobody(), person);
    for (let count = 0; count < 5; count += 1) {
      await nobody().post('/login', { username: person.username, password: 'Wrong-Horse-7' });
    }
    expectStatus(await verify(person, mfa_token, codeOf(coffer, secret)), 200);
  });
});

describe('A recovery code', () => {
  it('completes a login once, of thirty at the same time', async () => {
    const { person, client } = await withTotp(coffer);
    const [code] = await recoveryCodes(client);
    const { methods } = await firstStep(nobody(), person);
    expect(methods).toEqual(['totp', 'recovery_code']);
    const tokens = await Promise.all([1, 2, 3].map(async () => (await firstStep(nobody(), person)).mfa_token));
    const attempts = Array.from({ length: 30 }, (_, at) => verify(person, tokens[at % tokens.length]!, code!));
    const statuses = (await Promise.all(attempts)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBe(1);
  });

  it('is taken as it is typed: in lower case, with spaces, with look-alikes', async () => {
    const { person, client } = await withTotp(coffer);
    const [code] = await recoveryCodes(client);
    const typed = code!.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
    const { mfa_token } = await firstStep(nobody(), person);
    expectStatus(await verify(person, mfa_token, typed), 200);
  });

  it('is told to its owner when it is used, and is gone', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const [code] = await recoveryCodes(client);
    const { mfa_token } = await firstStep(nobody(), person);
    expectStatus(await verify(person, mfa_token, code!), 200);
    expect((await client.get('/2fa')).json.recovery_codes_left).toBe(9);
    const notice = (await coffer.mails()).filter(({ to }) => to === person.email).at(-1);
    expect(notice?.text).toContain('a recovery code was used');
  });

  it('of somebody else is refused', async () => {
    const [owner, thief] = [await withTotp(coffer), await withTotp(coffer)];
    const [code] = await recoveryCodes(owner.client);
    const { mfa_token } = await firstStep(nobody(), thief.person);
    expectProblem(await verify(thief.person, mfa_token, code!), 401, 'otp_failed');
    expect((await owner.client.get('/2fa')).json.recovery_codes_left).toBe(10);
  });

  it('is void once new ones were made', async () => {
    const { person, client } = await withTotp(coffer);
    const [former] = await recoveryCodes(client);
    const renewed = await recoveryCodes(client);
    const { mfa_token } = await firstStep(nobody(), person);
    expectProblem(await verify(person, mfa_token, former!), 401, 'otp_failed');
    expectStatus(await verify(person, mfa_token, renewed[9]!), 200);
  });
});
