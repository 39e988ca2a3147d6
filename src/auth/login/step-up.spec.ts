import { signUp } from '../../../test/support/accounts';
import { expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { codeOf, recoveryCodes, withTotp } from '../../../test/support/second-factors';
import { MINUTE } from '../../kernel';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const BAD = { password: 'Wrong-Horse-7' };
const token = (answer: { json: { access_token: string } }): string => answer.json.access_token;

describe('POST /step-up', () => {
  it('opens for five minutes what asks for a fresh login', async () => {
    const { person, client } = await signUp(coffer.client);
    coffer.clock.offset += 6 * MINUTE;
    const refused = await client.post('/2fa/totp');
    expectProblem(refused, 401, 'step_up_required');
    expect(refused.headers['www-authenticate']).toContain('max_age=300');
    const answer = await client.post('/step-up', { password: person.password });
    expectStatus(answer, 200);
    const fresh = client.as(token(answer));
    expectStatus(await fresh.post('/2fa/totp'), 200);
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await fresh.post('/2fa/totp'), 401, 'step_up_required');
  });

  it('asks for a new proof where the clock was set back behind the former one, and not for a small difference', async () => {
    const { person } = await signUp(coffer.client);
    const { username, password } = person;
    const first = (await coffer.client.post('/login', { username, password })).json;
    coffer.clock.offset -= 10_000;
    expectStatus(await coffer.client.as(first.access_token as string).post('/2fa/totp'), 200);
    coffer.clock.offset -= 30 * MINUTE;
    const second = await coffer.client.post('/token/refresh', { refresh_token: first.refresh_token });
    expectProblem(await coffer.client.as(token(second)).post('/2fa/totp'), 401, 'step_up_required');
    const third = await coffer.client.as(token(second)).post('/step-up', { password });
    expectStatus(await coffer.client.as(token(third)).post('/2fa/totp'), 200);
    coffer.clock.offset += 30 * MINUTE + 10_000;
  });

  it('gives the tokens of a login and voids the former ones, also for one that was just refreshed', async () => {
    const { person } = await signUp(coffer.client);
    const { username, password } = person;
    const first = (await coffer.client.post('/login', { username, password })).json;
    const second = (await coffer.client.post('/token/refresh', { refresh_token: first.refresh_token })).json;
    const session = coffer.client.as(second.access_token as string);
    const answer = await session.post('/step-up', { password });
    expect(expectStatus(answer, 200)).toEqual({
      access_token: expect.any(String),
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.any(String),
    });
    for (const { access_token, refresh_token } of [first, second]) {
      expectProblem(await coffer.client.as(access_token as string).get('/me'), 401, 'invalid_session');
      expectProblem(await coffer.client.post('/token/refresh', { refresh_token }), 401, 'invalid_session');
    }
    expectStatus(await session.as(token(answer)).get('/me'), 200);
  });

  it('does not lengthen for a refresh: that copies the time of the proof', async () => {
    const { person } = await signUp(coffer.client);
    const { username, password } = person;
    const first = (await coffer.client.post('/login', { username, password })).json;
    coffer.clock.offset += 4 * MINUTE;
    const second = await coffer.client.post('/token/refresh', { refresh_token: first.refresh_token });
    coffer.clock.offset += 2 * MINUTE;
    expectProblem(await coffer.client.as(token(second)).post('/2fa/totp'), 401, 'step_up_required');
  });

  it('is not stopped by a lockout of /login, and does not end it', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    for (let count = 0; count < 5; count += 1) await coffer.client.post('/login', { username, ...BAD });
    expectProblem(await coffer.client.post('/login', { username, password }), 429, 'too_many_attempts');
    expectStatus(await client.post('/step-up', { password }), 200);
    expectProblem(await coffer.client.post('/login', { username, password }), 429, 'too_many_attempts');
  });

  it('counts wrong passwords by session: five, then 429 for 15 minutes, and neither /login nor another session is stopped', async () => {
    const { person, client } = await signUp(coffer.client);
    const { username, password } = person;
    for (let count = 0; count < 5; count += 1) expectProblem(await client.post('/step-up', BAD), 401, 'login_failed');
    const refused = await client.post('/step-up', { password });
    expectProblem(refused, 429, 'too_many_attempts');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(14 * 60);
    const other = await coffer.client.post('/login', { username, password });
    expectStatus(other, 200);
    expectStatus(await client.as(token(other)).post('/step-up', { password }), 200);
    coffer.clock.offset += 15 * MINUTE;
    expectStatus(await client.post('/step-up', { password }), 200);
  });

  it('forgets the wrong passwords of the session when it is done, second factor included', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const { password } = person;
    for (let count = 0; count < 4; count += 1) await client.post('/step-up', BAD);
    const fresh = await client.post('/step-up', { password, otp: codeOf(coffer, secret) });
    expectStatus(fresh, 200);
    for (let count = 0; count < 4; count += 1) {
      expectProblem(await client.as(token(fresh)).post('/step-up', BAD), 401, 'login_failed');
    }
    coffer.clock.offset += MINUTE;
    const again = { password, otp: codeOf(coffer, secret) };
    expectStatus(await client.as(token(fresh)).post('/step-up', again), 200);
  });

  it('asks for the second factor where one is on, and counts nothing where none was sent', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const { password } = person;
    for (let count = 0; count < 12; count += 1) {
      expectProblem(await client.post('/step-up', { password }), 401, 'otp_failed');
    }
    expectProblem(await client.post('/step-up', { password, otp: '000000' }), 401, 'otp_failed');
    expectStatus(await client.post('/step-up', { password, otp: codeOf(coffer, secret) }), 200);
  });

  it('takes a recovery code, once', async () => {
    const { person, client } = await withTotp(coffer);
    const { password } = person;
    const [otp] = await recoveryCodes(client);
    const fresh = await client.post('/step-up', { password, otp });
    expectStatus(fresh, 200);
    expectProblem(await client.as(token(fresh)).post('/step-up', { password, otp }), 401, 'otp_failed');
  });

  it('takes a TOTP step once', async () => {
    const { person, client, secret } = await withTotp(coffer);
    const stepUp = { password: person.password, otp: codeOf(coffer, secret) };
    const fresh = await client.post('/step-up', stepUp);
    expectStatus(fresh, 200);
    expectProblem(await client.as(token(fresh)).post('/step-up', stepUp), 401, 'otp_failed');
  });

  it('wants a session', async () => {
    expectProblem(await coffer.client.post('/step-up', { password: 'Wrong-Horse-7' }), 401, 'unauthenticated');
  });

  it.each([
    ['no password', {}],
    ['a number as code', { password: 'Wrong-Horse-7', otp: 123456 }],
    ['null as code', { password: 'Wrong-Horse-7', otp: null }],
    ['an unknown field', { password: 'Wrong-Horse-7', mfa_token: 'x' }],
  ])('answers 400 to %s', async (_what, body) => {
    const { client } = await signUp(coffer.client);
    expectProblem(await client.post('/step-up', body), 400, 'validation_failed');
  });
});
