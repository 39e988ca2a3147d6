import { login, newPerson, type Person } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { MINUTE } from '../../kernel';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer({ env: { EMAIL_VERIFICATION: 'required', TRUSTED_PROXIES: 'loopback' } });
});
afterAll(() => coffer.close());

const [HOME, ELSEWHERE] = ['203.0.113.7', '198.51.100.9'];
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
const register = (person: Person, address: string): Promise<Answer> =>
  coffer.client.post('/register', person, from(address));
const verify = (body: object, address: string): Promise<Answer> =>
  coffer.client.post('/verify-registration', body, from(address));
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');
const codes = (email: string): Promise<string[]> => coffer.codes(email);

async function registered(): Promise<{ person: Person; code: string }> {
  const person = newPerson('owner');
  expectStatus(await register(person, HOME), 200);
  return { person, code: (await codes(person.email)).at(-1)! };
}

describe('Strangers who know the address of a registration', () => {
  it('do not use up its mails: one network gets four, and the owner still registers', async () => {
    const person = newPerson('late');
    for (let count = 0; count < 20; count += 1)
      await register({ ...newPerson('flood'), email: person.email }, ELSEWHERE);
    expect((await codes(person.email)).length).toBe(4);
    expectStatus(await register(person, HOME), 200);
    const code = (await codes(person.email)).at(-1)!;
    expectStatus(await verify({ email: person.email, username: person.username, otp: code }, HOME), 200);
    await login(coffer.client, person);
  });

  it('do not block its right code with wrong ones, with its user name or without', async () => {
    const { person, code } = await registered();
    const { email, username } = person;
    for (const body of [{ email }, { email, username }])
      for (let tries = 0; tries < 8; tries += 1) await verify({ ...body, otp: wrong(code) }, ELSEWHERE);
    expectProblem(await verify({ email, username, otp: code }, ELSEWHERE), 429, 'too_many_attempts');
    expectStatus(await verify({ email, username, otp: code }, HOME), 200);
  });

  it('do not come in between with the same name and address: the owner confirms what the owner registered', async () => {
    const { person, code } = await registered();
    const { email, username } = person;
    expectStatus(await register({ ...person, password: 'Another-Horse-8-Battery' }, ELSEWHERE), 200);
    const theirs = (await codes(email)).at(-1)!;
    expectProblem(await verify({ email, username, otp: theirs }, HOME), 401, 'otp_failed');
    expectStatus(await verify({ email, username, otp: code }, HOME), 200);
    await login(coffer.client, person);
  });

  it('guess at thirty codes in ten minutes from one network, over all registrations', async () => {
    const statuses: number[] = [];
    for (let address = 0; address < 8; address += 1) {
      const { person, code } = await registered();
      for (let tries = 0; tries < 5; tries += 1)
        statuses.push((await verify({ email: person.email, otp: wrong(code) }, '192.0.2.1')).status);
    }
    expect(statuses.filter((status) => status === 401).length).toBe(30);
    expect(statuses.slice(30).every((status) => status === 429)).toBe(true);
    const { person, code } = await registered();
    expectStatus(await verify({ email: person.email, otp: code }, HOME), 200);
  });
});

describe('One guess', () => {
  it('is compared with the code of one registration, and counted there', async () => {
    const { person: first, code: firstCode } = await registered();
    const second = { ...newPerson('second'), email: first.email };
    await register(second, HOME);
    const secondCode = (await codes(first.email)).at(-1)!;
    const { email } = first;
    expectProblem(await verify({ email, otp: firstCode }, HOME), 401, 'otp_failed');
    expectProblem(await verify({ email, username: first.username, otp: secondCode }, HOME), 401, 'otp_failed');
    for (let tries = 0; tries < 5; tries += 1)
      await verify({ email, username: second.username, otp: wrong(secondCode) }, HOME);
    expectProblem(await verify({ email, username: second.username, otp: secondCode }, HOME), 429, 'too_many_attempts');
    expectStatus(await verify({ email, username: first.username, otp: firstCode }, HOME), 200);
    expectProblem(
      await verify({ email, username: second.username, otp: secondCode }, HOME),
      400,
      'no_pending_registration',
    );
  });

  it('without a user name is one at the newest registration with the address', async () => {
    const { person: first } = await registered();
    const second = { ...newPerson('newest'), email: first.email };
    await register(second, ELSEWHERE);
    const code = (await codes(first.email)).at(-1)!;
    expectStatus(await verify({ email: first.email, otp: code }, HOME), 200);
    await login(coffer.client, second);
  });

  it('at a name that nobody registered with the address finds nothing', async () => {
    const { person, code } = await registered();
    const guess = await verify({ email: person.email, username: 'somebody-else', otp: code }, HOME);
    expectProblem(guess, 400, 'no_pending_registration');
  });
});

describe('The same registration sent again', () => {
  it('has the same code, mailed once a minute, and takes no further place', async () => {
    const { person, code } = await registered();
    await register(person, HOME);
    expect(await codes(person.email)).toEqual([code]);
    coffer.clock.offset += MINUTE;
    await register(person, HOME);
    expect(await codes(person.email)).toEqual([code, code]);
    expectStatus(await verify({ email: person.email, username: person.username, otp: code }, HOME), 200);
  });
});

describe('An address that has an account', () => {
  it('gets one mail of strangers an hour, so that its codes have the other nine', async () => {
    const { person, code } = await registered();
    const { email, username } = person;
    expectStatus(await verify({ email, username, otp: code }, HOME), 200);
    for (let count = 0; count < 12; count += 1)
      await register({ ...newPerson('again'), email }, `198.51.100.${count + 20}`);
    const mails = (await coffer.mails()).filter(({ to, subject }) => to === email && subject.includes('already'));
    expect(mails.length).toBe(1);
  });
});
