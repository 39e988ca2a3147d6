import { newPerson, type Person, register } from '../../test/support/accounts';
import { expectProblem, expectStatus } from '../../test/support/client';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { codeOf, type FactorRequest, firstStep } from '../../test/support/second-factors';
import { MINUTE } from '../kernel';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer({ env: { REQUIRE_2FA: 'email' } });
});
afterAll(() => coffer.close());

const lastCode = async (address: string): Promise<string> => (await coffer.codes(address)).at(-1)!;

/**
 * How long a request waits for its mail; then the response is sent without it. A test machine may
 * stall that long.
 */
const MAIL_PATIENCE_MS = 5_000;
const TOTP_STEP_MS = 30_000;

/** Repeats the request if the machine was so slow that the response may differ. */
async function unhurried<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean, tooSlowMs: number): Promise<T> {
  for (;;) {
    const askedAt = performance.now();
    const answer = await ask();
    if (isRight(answer) || performance.now() - askedAt < tooSlowMs) return answer;
  }
}
const mailed = (person: Person): Promise<FactorRequest> =>
  unhurried(
    () => firstStep(coffer.client, person),
    ({ otp_sent }) => otp_sent,
    MAIL_PATIENCE_MS,
  );

async function loggedIn() {
  const person = await register(coffer.client, newPerson());
  const { username, email } = person;
  const first = await mailed(person);
  const answer = await coffer.client.post('/verify-otp', {
    username,
    mfa_token: first.mfa_token,
    otp: await lastCode(email),
  });
  const { access_token } = expectStatus(answer, 200) as { access_token: string };
  return { person, first, client: coffer.client.as(access_token) };
}

describe('With REQUIRE_2FA=email', () => {
  it('the very first login asks for a mailed code', async () => {
    const { first, client } = await loggedIn();
    expect(first).toMatchObject({ message: '2FA required', methods: ['email'], otp_sent: true });
    expect((await client.get('/2fa')).json).toMatchObject({
      two_factor_enabled: false,
      email: { enabled: false, required: true },
    });
  });

  it('the address is verified by it, and may be used to log in', async () => {
    const { person, client } = await loggedIn();
    expect((await client.get('/me')).json.email_verified).toBe(true);
    const { email, password } = person;
    const byAddress = await coffer.client.post('/login', { username: email, password });
    expect(byAddress.json.message).toBe('2FA required');
  });

  it('a session that is no longer fresh steps up by a mailed code', async () => {
    const { person, client } = await loggedIn();
    const { username, password, email } = person;
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await client.post('/2fa/totp'), 401, 'step_up_required');
    expectProblem(await client.post('/step-up', { password }), 401, 'otp_failed');
    expectStatus(await client.post('/send-otp', { username }), 200);
    expectStatus(await client.post('/step-up', { password, otp: await lastCode(email) }), 200);
  });

  it('an authenticator app takes its place: a code is asked for either way', async () => {
    const { person, client } = await loggedIn();
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    const confirm = () => client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) });
    expectStatus(await unhurried(confirm, ({ status }) => status === 204, TOTP_STEP_MS), 204);
    expect(await firstStep(coffer.client, person)).toMatchObject({ methods: ['totp'], otp_sent: false });
    expectStatus(await client.delete('/2fa/totp'), 204);
    expect(await mailed(person)).toMatchObject({ methods: ['email'], otp_sent: true });
  });
});
