import { login, newPerson, type Person } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { DomainError, MINUTE } from '../../kernel';
import { UserKeyService } from '../../keys/user-keys';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { pendingRegistrationsCollection } from './pending-registration.collection';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer({ env: { EMAIL_VERIFICATION: 'required' } });
});
afterAll(() => coffer.close());

const register = (person: Person): Promise<Answer> => coffer.client.post('/register', person);
const verify = (email: string, otp: string, username?: string): Promise<Answer> =>
  coffer.client.post('/verify-registration', { email, otp, ...(username === undefined ? {} : { username }) });
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

async function confirmed(person = newPerson()): Promise<Person> {
  expectStatus(await register(person), 200);
  const code = (await coffer.codes(person.email)).at(-1)!;
  expect(expectStatus(await verify(person.email, code), 200)).toEqual({ message: 'registration_success' });
  return person;
}

describe('A registration that has to be confirmed', () => {
  it('answers registration_pending, and there is no account until its code comes back', async () => {
    const person = newPerson();
    expect(expectStatus(await register(person), 200)).toEqual({ message: 'registration_pending' });
    const { username, password } = person;
    expectProblem(await coffer.client.post('/login', { username, password }), 401, 'login_failed');
    const [code] = await coffer.codes(person.email);
    expect(expectStatus(await verify(person.email, code!), 200)).toEqual({ message: 'registration_success' });
    await login(coffer.client, person);
  });

  it('names the user name in its mail', async () => {
    const person = newPerson('named');
    await register(person);
    const mails = (await coffer.mails()).filter(({ to }) => to === person.email);
    expect(mails[0]?.text.replaceAll('\n', ' ')).toContain(`"${person.username}"`);
  });

  it('lets its account log in by the address, in any case', async () => {
    const { email, password } = await confirmed();
    expectStatus(await coffer.client.post('/login', { username: email.toUpperCase(), password }), 200);
  });

  it('confirms the one whose code it is, and voids the others with the address', async () => {
    const first = newPerson('first');
    const second = { ...newPerson('second'), email: first.email };
    const third = { ...newPerson('third'), email: first.email };
    for (const person of [first, second, third]) await register(person);
    const codes = await coffer.codes(first.email);
    expectStatus(await verify(first.email, codes[1]!, second.username), 200);
    await login(coffer.client, second);
    for (const code of codes) expectProblem(await verify(first.email, code), 400, 'no_pending_registration');
    expectProblem(
      await coffer.client.post('/login', { username: first.username, password: first.password }),
      401,
      'login_failed',
    );
  });

  it('answers a known address like any other, and tells only its owner', async () => {
    const { email } = await confirmed();
    const fresh = newPerson();
    const known = await register({ ...newPerson(), email });
    const unknown = await register(fresh);
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text]);
    const mails = (await coffer.mails()).filter(({ to }) => to === email);
    expect(mails.at(-1)?.subject).toBe('You already have an account');
    const guess = await verify(email, '000000');
    const sameGuess = await verify(fresh.email, wrong((await coffer.codes(fresh.email))[0]!));
    expect({ ...guess.json, instance: '' }).toEqual({ ...sameGuess.json, instance: '' });
  });

  it('does not reserve a name: the first who confirms has it', async () => {
    const early = newPerson('early');
    const late = { ...newPerson('late'), username: early.username };
    await register(early);
    await register(late);
    const codeOf = async (person: Person): Promise<string> => (await coffer.codes(person.email))[0]!;
    expectStatus(await verify(late.email, await codeOf(late)), 200);
    expectProblem(await verify(early.email, await codeOf(early)), 409, 'user_exists');
    await login(coffer.client, late);
  });

  it('makes one account of thirty confirmations with the right code at once', async () => {
    const person = newPerson();
    await register(person);
    const [code] = await coffer.codes(person.email);
    const answers = await Promise.all(Array.from({ length: 30 }, () => verify(person.email, code!)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    const others = answers.filter(({ status }) => status !== 200);
    expect(others.every(({ status }) => status === 400 || status === 429)).toBe(true);
    const users = coffer.get(Store).collection(usersCollection);
    expect(await users.count('username', [person.username])).toBe(1);
  });

  it('is refused after five wrong codes, with the right code too, and sending it again brings no new tries', async () => {
    const person = newPerson();
    await register(person);
    const [code] = await coffer.codes(person.email);
    for (let tries = 0; tries < 5; tries += 1)
      expectProblem(await verify(person.email, wrong(code!)), 401, 'otp_failed');
    expectProblem(await verify(person.email, code!), 429, 'too_many_attempts');
    coffer.clock.offset += MINUTE;
    await register(person);
    expect(await coffer.codes(person.email)).toEqual([code, code]);
    expectProblem(await verify(person.email, code!), 429, 'too_many_attempts');
  });

  it('compares at most five of a hundred wrong codes that come at once', async () => {
    const person = newPerson();
    await register(person);
    const [code] = await coffer.codes(person.email);
    const answers = await Promise.all(Array.from({ length: 100 }, () => verify(person.email, wrong(code!))));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(5);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(95);
  });

  it('can be confirmed again where its key could not be made, although that key landed later', async () => {
    const [keys, person] = [coffer.get(UserKeyService), newPerson('again')];
    await register(person);
    const [code] = await coffer.codes(person.email);
    const create = keys.create.bind(keys);
    jest.spyOn(keys, 'create').mockImplementationOnce(async (id, name) => {
      await create(id, name);
      throw new DomainError('kms_unavailable');
    });
    expectProblem(await verify(person.email, code!), 503, 'kms_unavailable');
    expectStatus(await verify(person.email, code!), 200);
    await login(coffer.client, person);
  });

  it('is over after ten minutes', async () => {
    const person = newPerson();
    await register(person);
    const [code] = await coffer.codes(person.email);
    coffer.clock.offset += 10 * MINUTE;
    expectProblem(await verify(person.email, code!), 400, 'no_pending_registration');
  });

  it('mails four times an hour to one address for one network, with the same answer', async () => {
    const email = newPerson('spammed').email;
    const answers = [];
    for (let count = 0; count < 12; count += 1) answers.push(await register({ ...newPerson(), email }));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect((await coffer.mails()).filter(({ to }) => to === email).length).toBe(4);
  });

  it('answers no_pending_registration for an address that nobody registered', async () => {
    expectProblem(await verify('nobody@example.org', '123456'), 400, 'no_pending_registration');
    expectProblem(await verify('no address', '123456'), 400, 'no_pending_registration');
  });

  it('keeps no code in the store: the row is found by its address and tells nothing', async () => {
    const person = newPerson();
    await register(person);
    const [code] = await coffer.codes(person.email);
    const rows = coffer.get(Store).collection(pendingRegistrationsCollection);
    const pending = await rows.find('address', person.email);
    expect(pending).toMatchObject({ username: person.username });
    expect(JSON.stringify(pending)).not.toContain(code);
  });

  it('gives a verified address to one account only', async () => {
    const { email } = await confirmed();
    const users = coffer.get(Store).collection(usersCollection);
    expect(await users.count('verified_email', [email])).toBe(1);
    await register({ ...newPerson(), email });
    expect((await coffer.codes(email)).length).toBe(1);
  });
});
