import { signUp } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { firstStep, withEmailFactor } from '../../../test/support/second-factors';
import { MINUTE } from '../../kernel';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const lastCode = async ({ email }: { email: string }): Promise<string> => (await coffer.codes(email)).at(-1)!;
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

/** A person who has requested the code that enables e-mail. */
async function asked() {
  const { person, client } = await signUp(coffer.client);
  const { username } = person;
  expectStatus(await client.post('/send-otp', { username }), 200);
  const code = await lastCode(person);
  const verify = (otp: string): Promise<Answer> => client.post('/verify-otp', { username, otp });
  return { person, client, username, code, verify };
}

describe('Turning on two-factor login by e-mail', () => {
  it('takes a code that was mailed for it, and asks for a second factor from then on', async () => {
    const { person, client, code, verify } = await asked();
    const tokens = expectStatus(await verify(code), 200) as { access_token: string };
    expect((await client.as(tokens.access_token).get('/me')).json).toMatchObject({
      two_factor_enabled: true,
      email_verified: true,
    });
    expect((await firstStep(coffer.client, person)).methods).toEqual(['email']);
  });

  it('replaces the tokens of the session: the former access and refresh token are void', async () => {
    const { person, client } = await signUp(coffer.client);
    const login = await coffer.client.post('/login', { username: person.username, password: person.password });
    const former = login.json as { access_token: string; refresh_token: string };
    const session = client.as(former.access_token);
    await session.post('/send-otp', { username: person.username });
    const answer = await session.post('/verify-otp', { username: person.username, otp: await lastCode(person) });
    const tokens = expectStatus(answer, 200) as { access_token: string; refresh_token: string };
    expectProblem(await session.get('/me'), 401, 'invalid_session');
    const replay = await coffer.client.post('/token/refresh', { refresh_token: former.refresh_token });
    expectProblem(replay, 401, 'invalid_session');
    expectStatus(await client.as(tokens.access_token).get('/me'), 200);
    expectStatus(await coffer.client.post('/token/refresh', { refresh_token: tokens.refresh_token }), 200);
    // Other sessions of the person are unchanged.
    expectStatus(await client.get('/me'), 200);
  });

  it('does not move the time of the last login', async () => {
    const { client, code, verify } = await asked();
    coffer.clock.offset += 4 * MINUTE;
    const { access_token } = expectStatus(await verify(code), 200) as { access_token: string };
    coffer.clock.offset += 2 * MINUTE;
    expectProblem(await client.as(access_token).post('/2fa/totp'), 401, 'step_up_required');
  });

  it('wants a fresh login to send the code, but not to take it', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username } = person;
    coffer.clock.offset += 6 * MINUTE;
    const stale = await client.post('/send-otp', { username });
    expectProblem(stale, 401, 'step_up_required');
    expect(stale.headers['www-authenticate']).toContain('insufficient_user_authentication');
    const fresh = expectStatus(await client.post('/step-up', { password: person.password }), 200) as {
      access_token: string;
    };
    const session = client.as(fresh.access_token);
    expectStatus(await session.post('/send-otp', { username }), 200);
    coffer.clock.offset += 6 * MINUTE;
    expectStatus(await session.post('/verify-otp', { username, otp: await lastCode(person) }), 200);
  });

  it('is refused with a wrong code, an old one, and after five wrong ones', async () => {
    const first = await asked();
    expectProblem(await first.verify(wrong(first.code)), 401, 'otp_failed');
    coffer.clock.offset += 10 * MINUTE;
    expectProblem(await first.verify(first.code), 401, 'otp_failed');
    const second = await asked();
    for (let tries = 0; tries < 5; tries += 1) {
      expectProblem(await second.verify(wrong(second.code)), 401, 'otp_failed');
    }
    expectProblem(await second.verify(second.code), 401, 'otp_failed');
  });

  it('is refused with a code that nobody asked for', async () => {
    const { person, client } = await signUp(coffer.client);
    expectProblem(await client.post('/verify-otp', { username: person.username, otp: '000000' }), 401, 'otp_failed');
  });

  it('is refused in another session of the same person', async () => {
    const { person, client, code } = await asked();
    const login = await coffer.client.post('/login', { username: person.username, password: person.password });
    const other = client.as((login.json as { access_token: string }).access_token);
    expectProblem(await other.post('/verify-otp', { username: person.username, otp: code }), 401, 'otp_failed');
  });

  it('is refused with the name of somebody else', async () => {
    const { client, code } = await asked();
    const { person: other } = await signUp(coffer.client);
    expectProblem(await client.post('/verify-otp', { username: other.username, otp: code }), 401, 'invalid_session');
    expectProblem(await client.post('/send-otp', { username: other.username }), 401, 'invalid_session');
  });

  it('happens once, of thirty requests with the right code at the same time', async () => {
    const { code, verify } = await asked();
    const answers = await Promise.all(Array.from({ length: 30 }, () => verify(code)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
  });

  it('mails once a minute, and the same code while it is good', async () => {
    const { person, client, username, code } = await asked();
    expectProblem(await client.post('/send-otp', { username }), 429, 'too_many_attempts');
    coffer.clock.offset += MINUTE;
    expectStatus(await client.post('/send-otp', { username }), 200);
    expect(await lastCode(person)).toBe(code);
  });

  it('has a new code once the former one was guessed at too often', async () => {
    const { person, client, username, code, verify } = await asked();
    for (let tries = 0; tries < 5; tries += 1) await verify(wrong(code));
    coffer.clock.offset += MINUTE;
    expectStatus(await client.post('/send-otp', { username }), 200);
    const renewed = await lastCode(person);
    expect(renewed).not.toBe(code);
    expectStatus(await verify(renewed), 200);
  });

  it('leaves the verified address with the account that had it first', async () => {
    const { person: first } = await withEmailFactor(coffer);
    const { person: second, client } = await signUp(coffer.client, {
      ...first,
      username: `${first.username}-too`,
    });
    await client.post('/send-otp', { username: second.username });
    const answer = await client.post('/verify-otp', { username: second.username, otp: await lastCode(second) });
    const { access_token } = expectStatus(answer, 200) as { access_token: string };
    expect((await client.as(access_token).get('/me')).json).toMatchObject({
      two_factor_enabled: true,
      email_verified: false,
    });
  });
});

describe('A code of a session where e-mail is a factor', () => {
  it('is mailed without a fresh login, good for POST /step-up, and for nothing else', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const { username, password } = person;
    coffer.clock.offset += 10 * MINUTE;
    expectStatus(await client.post('/send-otp', { username }), 200);
    const otp = await lastCode(person);
    expectProblem(await client.post('/verify-otp', { username, otp }), 401, 'otp_failed');
    const { mfa_token } = await firstStep(coffer.client, person);
    expectProblem(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 401, 'otp_failed');
    expectStatus(await client.post('/step-up', { password, otp }), 200);
  });

  it('is not the code of a login: that one does not step a session up', async () => {
    const { person, client } = await withEmailFactor(coffer);
    await firstStep(coffer.client, person);
    const answer = await client.post('/step-up', { password: person.password, otp: await lastCode(person) });
    expectProblem(answer, 401, 'otp_failed');
  });
});

describe('Somebody with a stolen access token', () => {
  it('uses up no second-factor budget of the account by /verify-otp: failures count by session', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const { username, password } = person;
    for (let count = 0; count < 10; count += 1) {
      expectProblem(await client.post('/verify-otp', { username, otp: '000000' }), 401, 'otp_failed');
    }
    expectProblem(await client.post('/verify-otp', { username, otp: '000000' }), 429, 'too_many_attempts');
    const { mfa_token } = await firstStep(coffer.client, person);
    const otp = await lastCode(person);
    expectStatus(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 200);
    expectStatus(await client.post('/send-otp', { username }), 200);
    expectStatus(await client.post('/step-up', { password, otp: await lastCode(person) }), 200);
  });

  it('uses up none by /2fa/totp/confirm either', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const { username } = person;
    expectStatus(await client.post('/2fa/totp'), 200);
    for (let count = 0; count < 10; count += 1) await client.post('/2fa/totp/confirm', { otp: '000000' });
    expectProblem(await client.post('/2fa/totp/confirm', { otp: '000000' }), 429, 'too_many_attempts');
    const { mfa_token } = await firstStep(coffer.client, person);
    const otp = await lastCode(person);
    expectStatus(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 200);
  });

  it('leaves the account mails to log in with: a session has five an hour', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const { username } = person;
    // The first one enabled e-mail.
    for (let count = 1; count < 5; count += 1) {
      expectStatus(await client.post('/send-otp', { username }), 200);
      coffer.clock.offset += MINUTE;
    }
    expectProblem(await client.post('/send-otp', { username }), 429, 'too_many_attempts');
    expect(await firstStep(coffer.client, person)).toMatchObject({ otp_sent: true });
  });
});
