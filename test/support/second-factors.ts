import { login, type Person, signUp, type Tokens } from './accounts';
import { type Client, expectStatus } from './client';
import { type Coffer } from './coffer';
import { totpCode } from './totp';

/**
 * A signed-in person with a second factor, and their client with the tokens that came of turning it
 * on.
 */
export interface Enrolled {
  readonly person: Person;
  readonly client: Client;
}

export interface WithTotp extends Enrolled {
  readonly secret: string;
}

/** What /login answers where a second factor is on. */
export interface FactorRequest {
  readonly message: string;
  readonly username: string;
  readonly mfa_token: string;
  readonly methods: string[];
  readonly otp_sent: boolean;
}

/** The time of the service, a whole number of TOTP steps from now. */
const stepAt = (coffer: Coffer, steps: number): number => Date.now() + coffer.clock.offset + steps * 30_000;

/** The code of the service's present TOTP step, or of one some steps away. */
export const codeOf = (coffer: Coffer, secret: string, steps = 0): string => totpCode(secret, stepAt(coffer, steps));

export async function withEmailFactor(coffer: Coffer): Promise<Enrolled> {
  const { person, client } = await signUp(coffer.client);
  expectStatus(await client.post('/send-otp', { username: person.username }), 200);
  const otp = (await coffer.codes(person.email)).at(-1);
  const answer = await client.post('/verify-otp', { username: person.username, otp });
  return { person, client: client.as((expectStatus(answer, 200) as Tokens).access_token) };
}

/**
 * With the clock a step further, so that the step of the first code is not in the way of the next.
 */
export async function withTotp(coffer: Coffer): Promise<WithTotp> {
  const { person, client } = await signUp(coffer.client);
  const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
  expectStatus(await client.post('/2fa/totp/confirm', { otp: codeOf(coffer, secret) }), 204);
  coffer.clock.offset += 30_000;
  return { person, client, secret };
}

export async function recoveryCodes(client: Client): Promise<string[]> {
  return (expectStatus(await client.post('/2fa/recovery-codes'), 200) as { codes: string[] }).codes;
}

/** The first step of a login: right password, second factor asked for. */
export async function firstStep(client: Client, person: Person): Promise<FactorRequest> {
  return (await login(client, person)) as unknown as FactorRequest;
}
