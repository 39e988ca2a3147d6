import { newPerson, type Person, signUp } from '../../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { MINUTE } from '../../kernel';
import { parseUsername, Users } from '../../users';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const times = <T>(count: number, work: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, () => work()));
const subjectsTo = async (address: string): Promise<string[]> =>
  (await coffer.mails()).filter(({ to }) => to === address).map(({ subject }) => subject);
const ask = (client: Client, email: string): Promise<Answer> => client.post('/email/change', { email });
const confirm = (client: Client, otp: unknown): Promise<Answer> => client.post('/email/confirm', { otp });
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

async function asked(client: Client, email: string): Promise<string> {
  expectStatus(await ask(client, email), 200);
  return (await coffer.codes(email)).at(-1)!;
}

async function verified(): Promise<{ person: Person; client: Client }> {
  const { person, client } = await signUp(coffer.client);
  expectStatus(await confirm(client, await asked(client, person.email)), 204);
  return { person, client };
}

describe('A new e-mail address', () => {
  it('is confirmed at the new and told at the former address, and can be used to log in', async () => {
    const { person, client } = await verified();
    coffer.clock.offset += 2 * MINUTE;
    const next = newPerson('next').email;
    const otp = await asked(client, next);
    expect((await client.get('/me')).json).toMatchObject({ email: person.email, email_verified: true });
    expectStatus(await confirm(client, otp), 204);
    expect((await client.get('/me')).json).toMatchObject({ email: next, email_verified: true });
    expect((await subjectsTo(person.email)).at(-1)).toBe('The e-mail address of your account was changed');
    const { password } = person;
    expectStatus(await coffer.client.post('/login', { username: next, password }), 200);
    expectProblem(await coffer.client.post('/login', { username: person.email, password }), 401, 'login_failed');
  });

  it('wants a fresh login, and an address', async () => {
    const { client } = await signUp(coffer.client);
    expectProblem(await coffer.client.post('/email/change', {}), 401, 'unauthenticated');
    for (const email of ['', 'nobody', 'a@b', 'a b@example.org', 'a@example.org\r\nBcc: b@example.org']) {
      expectProblem(await ask(client, email), 400, 'validation_failed');
    }
    expectStatus(await client.post('/email/change', { email: { $gt: '' } }), 400);
    expectStatus(await client.post('/email/change', { email: 'a@example.org', verified_email: 'x' }), 400);
    expectStatus(await confirm(client, { $ne: '' }), 400);
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await ask(client, newPerson().email), 401, 'step_up_required');
  });

  it('is not taken with a wrong code, a used one, one that is too old, or one of another session', async () => {
    const { person, client } = await signUp(coffer.client);
    const { client: stranger } = await signUp(coffer.client);
    expectProblem(await confirm(client, '123456'), 401, 'otp_failed');
    const next = newPerson('next').email;
    const otp = await asked(client, next);
    expectProblem(await confirm(client, wrong(otp)), 401, 'otp_failed');
    expectProblem(await confirm(stranger, otp), 401, 'otp_failed');
    coffer.clock.offset += 11 * MINUTE;
    expectProblem(await confirm(client, otp), 401, 'otp_failed');
    expect((await client.get('/me')).json).toMatchObject({ email: person.email, email_verified: false });
  });

  it('has a code of its own: that of another address does not confirm it', async () => {
    const { client } = await signUp(coffer.client);
    const otp = await asked(client, newPerson('one').email);
    coffer.clock.offset += 2 * MINUTE;
    const second = await asked(client, newPerson('two').email);
    expect(second).not.toBe(otp);
    expectProblem(await confirm(client, otp), 401, 'otp_failed');
    expectStatus(await confirm(client, second), 204);
    expectProblem(await confirm(client, second), 401, 'otp_failed');
  });

  it.each([
    ['the same', (email: string) => email],
    ['in capitals', (email: string) => email.toUpperCase()],
  ])('that another account has confirmed, %s, is answered alike, and its owner is told', async (_what, form) => {
    const { person } = await verified();
    const { client } = await signUp(coffer.client);
    const answer = await ask(client, form(person.email));
    expect(expectStatus(answer, 200)).toEqual({ message: 'A code was sent to the new address' });
    const mails = (await coffer.mails()).filter(({ to }) => to.toLowerCase() === person.email);
    expect(mails.at(-1)?.subject).toBe('You already have an account');
    const otp = (await coffer.codes(person.email)).at(-1)!;
    expectProblem(await confirm(client, otp), 401, 'otp_failed');
    expect((await client.get('/me')).json).toMatchObject({ email_verified: false });
  });

  it('is unique among those that race for it, also as an international domain', async () => {
    const forms = ['sam@bücher.example', 'SAM@xn--bcher-kva.example', 'sam@BÜCHER.example', 'Sam@bücher.example'];
    const clients = await Promise.all(forms.map(async () => (await signUp(coffer.client)).client));
    const codes: string[] = [];
    for (const [at, client] of clients.entries()) {
      expectStatus(await ask(client, forms[at]!), 200);
      const mails = (await coffer.mails()).filter(({ to }) => to.toLowerCase().startsWith('sam@'));
      codes.push(/\b\d{6}\b/.exec(mails.at(-1)!.text)![0]);
    }
    const answers = await Promise.all(clients.map((client, at) => confirm(client, codes[at]!)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 401, 401, 401]);
  });

  it('voids its code after five wrong ones, stops the session after ten, and mails once a minute', async () => {
    const { client } = await signUp(coffer.client);
    const next = newPerson('next').email;
    const otp = await asked(client, next);
    expectProblem(await ask(client, next), 429, 'too_many_attempts');
    const answers = await times(20, () => confirm(client, wrong(otp)));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(10);
    expect((await confirm(client, otp)).status).not.toBe(204);
    expect((await client.get('/me')).json).toMatchObject({ email_verified: false });
  });

  it('takes its code once of twenty confirmations at the same time', async () => {
    const { client } = await signUp(coffer.client);
    const otp = await asked(client, newPerson('next').email);
    const answers = await times(20, () => confirm(client, otp));
    expect(answers.filter(({ status }) => status === 204).length).toBe(1);
  });

  it('is not changed for an account that was disabled meanwhile', async () => {
    const { person, client } = await signUp(coffer.client);
    const otp = await asked(client, newPerson('next').email);
    const user = await coffer.get(Users).byUsername(parseUsername(person.username)!);
    await coffer.get(Users).change(user!._id, (row) => ({ ...row, state: 'disabled' }));
    expectProblem(await confirm(client, otp), 403, 'account_disabled');
  });
});
