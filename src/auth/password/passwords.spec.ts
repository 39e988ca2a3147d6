import { login, newPerson, type Person, signUp, type Tokens } from '../../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, firstStep, recoveryCodes, withEmailFactor, withTotp } from '../../../test/support/second-factors';
import { MINUTE } from '../../kernel';
import { parseUsername, Users } from '../../users';
import { AccessRevocation } from '../sessions/access-revocation';
import { PasswordReplacement } from './password-replacement';
import { PasswordResetCodes } from './password-reset-codes';

const NEXT = 'Another-Strong-1-Phrase';
const CODE = /^(?:[0-9A-Z]{4}-){5}[0-9A-Z]{4}$/m;

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)));
const userOf = async ({ username }: Person) => (await coffer.get(Users).byUsername(parseUsername(username)!))!;
const change = (client: Client, current_password: string, new_password = NEXT): Promise<Answer> =>
  client.post('/password/change', { current_password, new_password });
const mailsTo = async (address: string) => (await coffer.mails()).filter(({ to }) => to === address);

async function verify(person: Person): Promise<void> {
  const { _id } = await userOf(person);
  await coffer.get(Users).change(_id, (user) => ({ ...user, verified_email: person.email }));
}

async function forgot(email: string): Promise<void> {
  expect(expectStatus(await coffer.client.post('/password/forgot', { email }), 200)).toEqual({
    message: 'If the address belongs to an account, a code was sent to it',
  });
}

async function codeFor(email: string, typed = email): Promise<string> {
  await forgot(typed);
  const mail = (await mailsTo(email)).filter(({ subject }) => subject === 'Reset your password').at(-1);
  return CODE.exec(mail?.text ?? '')![0];
}

const reset = (email: string, code: string, more: object = {}): Promise<Answer> =>
  coffer.client.post('/password/reset', { email, code, new_password: NEXT, ...more });

describe('POST /password/change', () => {
  it('takes the new password, ends all other sessions and keeps the one that asks', async () => {
    const { person, client } = await signUp(coffer.client);
    await verify(person);
    const other = await login(coffer.client, person);
    expectStatus(await change(client, person.password), 204);
    expectStatus(await client.get('/me'), 200);
    expectProblem(await coffer.client.as(other.access_token).get('/me'), 401, 'invalid_session');
    const refreshed = await coffer.client.post('/token/refresh', { refresh_token: other.refresh_token });
    expectProblem(refreshed, 401, 'invalid_session');
    expectProblem(await coffer.client.post('/login', { ...person, email: undefined }), 401, 'login_failed');
    await login(coffer.client, { ...person, password: NEXT });
    expect((await mailsTo(person.email)).at(-1)?.text).toContain('the password was changed');
  });

  it('wants a fresh login, the current password, and a strong new one', async () => {
    const { person, client } = await signUp(coffer.client);
    expectProblem(await coffer.client.post('/password/change', {}), 401, 'unauthenticated');
    expectProblem(await change(client, 'Wrong-Horse-7'), 401, 'login_failed');
    expectProblem(await change(client, person.password, 'short'), 400, 'weak_password');
    const named = await change(client, person.password, `My-${person.username}-7`);
    expectProblem(named, 400, 'weak_password');
    expect(named.json).toMatchObject({ errors: [{ pointer: '/new_password' }] });
    expectProblem(await change(client, person.password, 'The-Coffer-7-Key'), 400, 'weak_password');
    expectStatus(await client.post('/password/change', { current_password: person.password }), 400);
    const nested = { current_password: { $ne: '' }, new_password: NEXT };
    expectStatus(await client.post('/password/change', nested), 400);
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await change(client, person.password), 401, 'step_up_required');
    await login(coffer.client, person);
  });

  it('counts wrong current passwords by session, and leaves the account alone', async () => {
    const { person, client } = await signUp(coffer.client);
    const answers = await times(20, () => change(client, 'Wrong-Horse-7'));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(5);
    await times(5, () => change(client, 'Wrong-Horse-7'));
    expectProblem(await change(client, person.password), 429, 'too_many_attempts');
    expectProblem(await client.post('/step-up', { password: person.password }), 429, 'too_many_attempts');
    await login(coffer.client, person);
  });

  it('lets no login with the former password through that is on its way', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const step = await firstStep(coffer.client, person);
    expectStatus(await change(client, person.password), 204);
    const { username, mfa_token } = step;
    const answer = await coffer.client.post('/verify-otp', { username, mfa_token, otp: codeOf(coffer, secret) });
    expectProblem(answer, 401, 'otp_failed');
  });

  it('leaves no session of twenty logins with the former password that race it', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    const logins = times(20, () => coffer.client.post('/login', { username, password }));
    expectStatus(await change(client, password), 204);
    for (const answer of await logins) {
      if (answer.status !== 200) continue;
      const { access_token } = answer.json as Tokens;
      expectProblem(await coffer.client.as(access_token).get('/me'), 401, 'invalid_session');
    }
  });

  it('of ten changes at once one former password is proved for each', async () => {
    const { person, client } = await signUp(coffer.client);
    const answers = await times(10, (at) => change(client, person.password, `${NEXT}-${at}`));
    const held = answers.flatMap(({ status }, at) => (status === 204 ? [at] : []));
    expect(held.length).toBe(1);
    await login(coffer.client, { ...person, password: `${NEXT}-${held[0]}` });
  });

  it('does not overwrite a password that another proof has set meanwhile', async () => {
    const { person } = await signUp(coffer.client);
    const seen = await userOf(person);
    const hashed = { hashed_password: seen.hashed_password + 'x', salt: seen.salt };
    const replacement = coffer.get(PasswordReplacement);
    expect(await replacement.replace(seen, { hashed, notice: 'password-reset' })).toBe(true);
    const late = { hashed: { ...hashed, hashed_password: 'late' }, notice: 'password-changed' } as const;
    expect(await replacement.replace(seen, late)).toBe(false);
    expect((await userOf(person)).password_changed_at).toBeGreaterThan(0);
  });
});

describe('A forgotten password', () => {
  it('is reset with the mailed code; all sessions end, and the owner is told', async () => {
    const { person, client } = await signUp(coffer.client);
    await verify(person);
    const { username, password } = person;
    for (let count = 0; count < 5; count += 1)
      await coffer.client.post('/login', { username, password: 'Wrong-7-Horse' });
    const code = await codeFor(person.email, person.email.toUpperCase());
    expectStatus(await reset(person.email, ` ${code.toLowerCase()} `), 204);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
    await login(coffer.client, { ...person, password: NEXT });
    expect((await mailsTo(person.email)).at(-1)?.text).toContain('reset with a mailed code');
    expectProblem(await reset(person.email, code), 401, 'otp_failed');
  });

  it('answers the same for an address without account, unproved, disabled or none, and mails nobody', async () => {
    const { person: unproved } = await signUp(coffer.client);
    const { person: disabled } = await signUp(coffer.client);
    await verify(disabled);
    await coffer.get(Users).change((await userOf(disabled))._id, (user) => ({ ...user, state: 'disabled' }));
    const addresses = [newPerson('nobody').email, unproved.email, disabled.email];
    for (const address of [...addresses, 'no address', 'a@b\r\nBcc: c@example.org']) await forgot(address);
    for (const address of addresses) expect(await mailsTo(address)).toEqual([]);
    expectProblem(await reset(disabled.email, '7QK2-9XWD-3MFA-T0BN-8HRC-5VYE'), 401, 'otp_failed');
    expectStatus(await coffer.client.post('/password/forgot', { email: { $ne: '' } }), 400);
    expectStatus(await coffer.client.post('/password/forgot', { email: 'a@example.org', username: 'x' }), 400);
  });

  it.each([
    ['made up', '7QK2-9XWD-3MFA-T0BN-8HRC-5VYE'],
    ['six digits', '123456'],
    ['empty', ''],
    ['of the form of an operator', `019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f_${'A'.repeat(32)}`],
  ])('takes no code that is %s, whether there is an account or not', async (_what, code) => {
    const { person } = await signUp(coffer.client);
    await verify(person);
    await codeFor(person.email);
    const refusals = [await reset(person.email, code), await reset(newPerson().email, code)];
    for (const refusal of refusals) expectProblem(refusal, 401, 'otp_failed');
    const [known, unknown] = refusals.map(({ json }) => ({ ...json, instance: '' }) as unknown);
    expect(known).toEqual(unknown);
    coffer.clock.offset += 11 * MINUTE;
  });

  it("takes no other account's code, none that is too old, and none after a change of the password", async () => {
    const { person, client } = await signUp(coffer.client);
    const { person: other } = await signUp(coffer.client);
    for (const each of [person, other]) await verify(each);
    const code = await codeFor(person.email);
    expectProblem(await reset(other.email, code), 401, 'otp_failed');
    expectStatus(await change(client, person.password, `${NEXT}-2`), 204);
    expectProblem(await reset(person.email, code), 401, 'otp_failed');
    coffer.clock.offset += 2 * MINUTE;
    const second = await codeFor(person.email);
    coffer.clock.offset += 11 * MINUTE;
    expectProblem(await reset(person.email, second), 401, 'otp_failed');
  });

  it('mails once a minute, the same code while it is good', async () => {
    const { person } = await signUp(coffer.client);
    await verify(person);
    const code = await codeFor(person.email);
    await times(10, () => forgot(person.email));
    expect((await mailsTo(person.email)).length).toBe(1);
    coffer.clock.offset += 2 * MINUTE;
    expect(await codeFor(person.email)).toBe(code);
    expect((await mailsTo(person.email)).length).toBe(2);
  });

  it('uses a code once of twenty requests at the same time, and none for a weak password', async () => {
    const { person } = await signUp(coffer.client);
    await verify(person);
    const code = await codeFor(person.email);
    expectProblem(await reset(person.email, code, { new_password: 'weak' }), 400, 'weak_password');
    const named = { new_password: `${person.username}-A-1` };
    expectProblem(await reset(person.email, code, named), 400, 'weak_password');
    const answers = await times(20, (at) => reset(person.email, code, { new_password: `${NEXT}-${at}` }));
    expect(answers.filter(({ status }) => status === 204).length).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 204)) expectProblem(answer, 401, 'otp_failed');
  });

  it('never passes by an authenticator app', async () => {
    const { person, client, secret } = await withTotp(coffer);
    await verify(person);
    const [recovery] = await recoveryCodes(client);
    const code = await codeFor(person.email);
    for (const otp of [undefined, '000000', 'ABCD-ABCD-ABCD-ABCD-ABCD-ABCD', code]) {
      expectProblem(await reset(person.email, code, { otp }), 401, 'otp_failed');
    }
    await login(coffer.client, person);
    expectStatus(await reset(person.email, code, { otp: codeOf(coffer, secret) }), 204);
    coffer.clock.offset += 2 * MINUTE;
    const again = await codeFor(person.email);
    expectStatus(await reset(person.email, again, { otp: recovery, new_password: `${NEXT}-2` }), 204);
    expect((await mailsTo(person.email)).some(({ text }) => text.includes('recovery code was used'))).toBe(true);
  });

  it('asks for a recovery code where the mailbox is the only factor', async () => {
    const { person, client } = await withEmailFactor(coffer);
    const [recovery] = await recoveryCodes(client);
    const code = await codeFor(person.email);
    const step = await firstStep(coffer.client, person);
    const mailed = (await coffer.codes(person.email)).at(-1);
    expectProblem(await reset(person.email, code), 401, 'otp_failed');
    expectProblem(await reset(person.email, code, { otp: mailed }), 401, 'otp_failed');
    expectStatus(await reset(person.email, code, { otp: recovery }), 204);
    const { username, mfa_token } = step;
    expectProblem(await coffer.client.post('/verify-otp', { username, mfa_token, otp: mailed }), 401, 'otp_failed');
  });

  it('counts wrong second factors in the budget of the account, over all resets and logins', async () => {
    const { person, secret } = await withTotp(coffer);
    await verify(person);
    const code = await codeFor(person.email);
    const answers = await times(30, () => reset(person.email, code, { otp: '000000' }));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(10);
    await times(10, () => reset(person.email, code, { otp: '000000' }));
    const right = await reset(person.email, code, { otp: codeOf(coffer, secret) });
    expectProblem(right, 429, 'too_many_attempts');
    await login(coffer.client, person);
    coffer.clock.offset += 16 * MINUTE;
  });

  it('counts wrong codes by the client, whatever the address', async () => {
    const answers = await times(40, () => reset(newPerson().email, '7QK2-9XWD-3MFA-T0BN-8HRC-5VYE'));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(30);
    expect(answers.some(({ status }) => status === 429)).toBe(true);
    coffer.clock.offset += 16 * MINUTE;
  });

  it('opens to an operator code for its account and address alone, once and for an hour', async () => {
    const { person } = await signUp(coffer.client);
    const user = await userOf(person);
    const codes = coffer.get(PasswordResetCodes);
    const former = await codes.issue(user);
    const code = await codes.issue(user);
    expectProblem(await reset(person.email, former), 401, 'otp_failed');
    expectProblem(await reset(newPerson().email, code), 401, 'otp_failed');
    expectStatus(await reset(person.email, code), 204);
    expectProblem(await reset(person.email, code), 401, 'otp_failed');
    const late = await codes.issue(user);
    coffer.clock.offset += 61 * MINUTE;
    expectProblem(await reset(person.email, late), 401, 'otp_failed');
  });

  it('ends waiting logins before sessions, so that none opens in between', async () => {
    const { person, secret } = await withTotp(coffer);
    const { username, mfa_token } = await firstStep(coffer.client, person);
    await coffer.get(AccessRevocation).endAll((await userOf(person))._id);
    const otp = codeOf(coffer, secret);
    expectProblem(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 401, 'otp_failed');
  });
});
