import { signUp } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { firstStep, withEmailFactor } from '../../../test/support/second-factors';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { Attempts } from '../attempts/attempts';

const WRONG = 'Wrong-Horse-7';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const login = (username: string, password: string): Promise<Answer> =>
  coffer.client.post('/login', { username, password });
const statuses = async (names: readonly string[]): Promise<number[]> => {
  const answers: number[] = [];
  for (const name of names) answers.push((await login(name, WRONG)).status);
  return answers;
};
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('The count of wrong passwords', () => {
  it('does not tell that a user name and an address are one account', async () => {
    const { person } = await withEmailFactor(coffer);
    const { person: other } = await withEmailFactor(coffer);
    const four = await statuses(times(4, person.username));
    const mixed = await statuses([person.email, person.username, person.username, person.email]);
    const apart = await statuses([...times(4, other.username), 'nobody@example.org', other.username, other.username]);
    expect(four).toEqual(times(4, 401));
    expect(mixed).toEqual([401, 401, 429, 401]);
    expect(mixed.slice(0, 3)).toEqual(apart.slice(4));
  });

  it('locks what was typed, in whatever case, and not the other way in', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username, email, password } = person;
    expect(await statuses([...times(3, email), email.toUpperCase(), email])).toEqual(times(5, 401));
    expectProblem(await login(email, password), 429, 'too_many_attempts');
    expectProblem(await login(email.toUpperCase(), password), 429, 'too_many_attempts');
    expectStatus(await login(username, password), 200);
  });

  it('is forgotten for what was typed when a login is complete, and for nothing else', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username, email, password } = person;
    await statuses([...times(4, email), ...times(4, username)]);
    const { mfa_token } = expectStatus(await login(email, password), 200) as { mfa_token: string };
    const otp = (await coffer.codes(email)).at(-1);
    expectStatus(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 200);
    expect(await statuses([...times(5, email), ...times(2, username)])).toEqual([...times(5, 401), 401, 429]);
  });
});

describe('unlock', () => {
  const unlock = async (username: string): Promise<void> => {
    const user = await coffer.get(Store).collection(usersCollection).find('username', username);
    await coffer.get(Attempts).unlock(user!);
  };

  it('forgets wrong passwords by name and by address, and wrong codes', async () => {
    const { person } = await withEmailFactor(coffer);
    const { username, email, password } = person;
    for (let round = 0; round < 2; round += 1) {
      const { mfa_token } = await firstStep(coffer.client, person);
      const guess = { username, mfa_token, otp: '000000' };
      for (let count = 0; count < 5; count += 1) await coffer.client.post('/verify-otp', guess);
    }
    await statuses([...times(5, email), ...times(5, username)]);
    expectProblem(await login(username, password), 429, 'too_many_attempts');
    await unlock(username);
    expectStatus(await login(email, password), 200);
    coffer.clock.offset += 60_000;
    const { mfa_token } = await firstStep(coffer.client, person);
    const otp = (await coffer.codes(email)).at(-1);
    expectStatus(await coffer.client.post('/verify-otp', { username, mfa_token, otp }), 200);
  });

  it('does nothing to an account that is not locked', async () => {
    const { person } = await signUp(coffer.client);
    await unlock(person.username);
    expectStatus(await login(person.username, person.password), 200);
  });
});
