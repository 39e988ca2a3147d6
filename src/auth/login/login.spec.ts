import { login, newPerson, type Person, register, signUp } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { firstStep, withEmailFactor } from '../../../test/support/second-factors';
import { MINUTE } from '../../kernel';
import { Store } from '../../store';
import { UserDoc, usersCollection } from '../../users';
import { decoysCollection } from '../attempts/dummy-account.collection';

const WRONG = 'Wrong-Horse-7-Battery';

let coffer: Coffer;
let wrongPassword: Answer | undefined;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const tryLogin = (username: string, password = WRONG): Promise<Answer> =>
  coffer.client.post('/login', { username, password });
const row = async (person: Person): Promise<UserDoc | undefined> =>
  coffer.get(Store).collection(usersCollection).find('username', person.username);
const change = async (person: Person, fields: Partial<UserDoc>): Promise<void> => {
  await coffer
    .get(Store)
    .collection(usersCollection)
    .replace({ ...(await row(person))!, ...fields });
};

async function failTimes(username: string, times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) expectProblem(await tryLogin(username), 401, 'login_failed');
}

describe('POST /login', () => {
  it('takes the user name in any case, and gives the fields of a login and no other', async () => {
    const { username, password } = await register(coffer.client);
    expect(expectStatus(await tryLogin(username.toUpperCase(), password), 200)).toEqual({
      access_token: expect.any(String),
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.any(String),
    });
  });

  it('takes an address only once it has been verified', async () => {
    const { email, password } = await register(coffer.client);
    expectProblem(await tryLogin(email, password), 401, 'login_failed');
    const verified = await withEmailFactor(coffer);
    expectStatus(await tryLogin(verified.person.email, verified.person.password), 200);
  });

  it.each([
    ['an object as name', { username: { $ne: null }, password: WRONG }],
    ['an object as password', { username: 'alice', password: { $gt: '' } }],
    ['no password', { username: 'alice' }],
    ['an unknown field', { username: 'alice', password: WRONG, otp: '123456' }],
    ['15 kilobytes of name', { username: 'a'.repeat(15_000), password: WRONG }],
    ['15 kilobytes of password', { username: 'alice', password: 'a'.repeat(15_000) }],
  ])('answers 400 to %s', async (_what, body) => {
    expectProblem(await coffer.client.post('/login', body), 400, 'validation_failed');
  });

  it('answers 413 to a megabyte', async () => {
    const body = { username: 'a'.repeat(500_000), password: WRONG };
    expectProblem(await coffer.client.post('/login', body), 413, 'too_large');
  });

  it.each(['nobody-at-all', 'nobody@example.org', '$where', '__proto__', 'a b', 'al\u0131ce', ''])(
    'answers a name that does not exist, %j, like a wrong password',
    async (username) => {
      const unknown = await tryLogin(username);
      expectProblem(unknown, 401, 'login_failed');
      wrongPassword ??= await tryLogin((await register(coffer.client)).username);
      expect({ ...unknown.json, instance: '' }).toEqual({ ...wrongPassword.json, instance: '' });
    },
  );

  it('tells a disabled account only to who knows the password', async () => {
    const person = await register(coffer.client);
    await change(person, { state: 'disabled' });
    expectProblem(await tryLogin(person.username), 401, 'login_failed');
    expectProblem(await tryLogin(person.username, person.password), 403, 'account_disabled');
  });

  it('does not believe a row whose password somebody put there', async () => {
    const [victim, mallory] = [await register(coffer.client), await register(coffer.client)];
    const { hashed_password, salt } = (await row(mallory))!;
    await change(victim, { hashed_password, salt });
    expectProblem(await tryLogin(victim.username, mallory.password), 401, 'login_failed');
  });
});

describe('The lockout', () => {
  it('lets a person in after four failures, and counts anew from there', async () => {
    const person = await register(coffer.client);
    await failTimes(person.username, 4);
    expect(await row(person)).toMatchObject({ failed_attempts: 4, last_failed_attempt_time: expect.any(Number) });
    await login(coffer.client, person);
    expect((await row(person))?.failed_attempts).toBe(0);
    await failTimes(person.username, 4);
    await login(coffer.client, person);
  });

  it.each([
    ['an account', () => register(coffer.client)],
    ['a name that does not exist', () => Promise.resolve(newPerson('nobody'))],
  ])('refuses the sixth attempt on %s for 15 minutes, the right password too', async (_what, make) => {
    const { username, password } = await make();
    await failTimes(username, 5);
    const locked = await tryLogin(username, password);
    expectProblem(locked, 429, 'too_many_attempts');
    expect(Number(locked.headers['retry-after'])).toBeGreaterThan(14 * 60);
    expect(Number(locked.headers['retry-after'])).toBeLessThanOrEqual(15 * 60);
  });

  it('is not made longer by attempts while it lasts, and ends by itself', async () => {
    const person = await register(coffer.client);
    await failTimes(person.username, 5);
    coffer.clock.offset += 10 * MINUTE;
    const before = await row(person);
    for (let count = 0; count < 3; count += 1) {
      expectProblem(await tryLogin(person.username), 429, 'too_many_attempts');
    }
    expect(await row(person)).toEqual(before);
    coffer.clock.offset += 5 * MINUTE;
    await login(coffer.client, person);
  });

  it('counts one name together, however it is written', async () => {
    const person = await register(coffer.client);
    const names = [person.username, person.username.toUpperCase()];
    for (const name of [...names, ...names, person.username]) expectProblem(await tryLogin(name), 401, 'login_failed');
    expectProblem(await tryLogin(person.username, person.password), 429, 'too_many_attempts');
  });

  it('answers 5 of 40 wrong passwords at once, and 429 to the others', async () => {
    const { username } = await register(coffer.client);
    const answers = await Promise.all(Array.from({ length: 40 }, () => tryLogin(username)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array<number>(5).fill(401), ...Array<number>(35).fill(429)]);
  });

  it('lets ten right passwords at once in', async () => {
    const { username, password } = await register(coffer.client);
    const answers = await Promise.all(Array.from({ length: 10 }, () => tryLogin(username, password)));
    expect(answers.filter(({ status }) => status === 429).length).toBeLessThanOrEqual(5);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect((await row({ username } as Person))?.failed_attempts).toBe(0);
  });

  it('is not lifted by the first step of a login alone, where a second factor is on', async () => {
    const { person } = await withEmailFactor(coffer);
    await failTimes(person.username, 4);
    expect((await firstStep(coffer.client, person)).message).toBe('2FA required');
    expect((await row(person))?.failed_attempts).toBe(4);
  });

  it('keeps of a name that does not exist neither the name nor, for long, the row', async () => {
    const name = `Secret-Typed-Here-${Date.now()}`;
    await failTimes(name, 1);
    const decoys = await coffer.get(Store).collection(decoysCollection).list('_id', [], { limit: 1000 });
    expect(decoys.items.length).toBeGreaterThan(0);
    expect(JSON.stringify(decoys.items).toLowerCase()).not.toContain(name.toLowerCase());
    expect(Math.max(...decoys.items.map(({ expires_at }) => expires_at))).toBeLessThan(
      Date.now() + coffer.clock.offset + 31 * MINUTE,
    );
  });

  it('leaves a session alone that is open', async () => {
    const { person, client } = await signUp(coffer.client);
    await failTimes(person.username, 5);
    expectStatus(await client.get('/me'), 200);
  });
});
