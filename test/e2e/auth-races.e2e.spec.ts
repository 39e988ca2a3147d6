import { login, newPerson, type Person, register, signUp, type Tokens } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';
import { totpCode } from '../support/totp';

/**
 * What may happen only once, asked for many times at once: on one process, and on two that share a
 * database.
 */
describeOnProfiles('Logins at the same time', (context) => races(context));

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status);
const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)));
const wrong = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

function races(context: ProfileContext): void {
  const nobody = (): Client => context.client.as(undefined);

  async function firstStep(person: Person): Promise<{ username: string; mfa_token: string }> {
    const { username, mfa_token } = (await login(context.client, person)) as unknown as Record<string, string>;
    return { username: username!, mfa_token: mfa_token! };
  }

  async function withTotp(): Promise<{ person: Person; client: Client; secret: string }> {
    const { person, client } = await signUp(context.client);
    const { secret } = expectStatus(await client.post('/2fa/totp'), 200) as { secret: string };
    // The step before this one, so that the present one is still to be had.
    expectStatus(await client.post('/2fa/totp/confirm', { otp: totpCode(secret, Date.now(), -1) }), 204);
    return { person, client, secret };
  }

  it('make one account of fifty registrations with one invitation', async () => {
    const { email } = newPerson('invited');
    const { id } = expectStatus(await context.admin.post('/invitations', { email }), 201) as { id: string };
    const mail = (await context.mails()).find(({ to, text }) => to === email && text.includes(id));
    const invitation = /^[0-9a-f-]{36}_[A-Za-z0-9_-]{32}$/m.exec(mail?.text ?? '')?.[0];
    const answers = await times(50, () => nobody().post('/register', { ...newPerson('crowd'), email, invitation }));
    expect(statuses(answers).filter((status) => status === 200).length).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 200))
      expectProblem(answer, 403, 'permission_denied');
    const open = (await context.admin.get('/invitations')).json as { items: { id: string }[] };
    expect(open.items.map((item) => item.id)).not.toContain(id);
  });

  it('mail one address as often as one network may ask, whichever accounts and processes ask for it', async () => {
    const { email } = newPerson('mailed');
    const accounts = await times(6, () => signUp(context.client, { ...newPerson('asks'), email }));
    const answers = await Promise.all(
      accounts.map(({ person: { username }, client }) => client.post('/send-otp', { username })),
    );
    expect(statuses(answers).sort()).toEqual([200, 200, 200, 200, 429, 429]);
  });

  it('make one account of fifty registrations of a name, in whatever case', async () => {
    const person = newPerson('Race');
    const answers = await times(50, (at) =>
      nobody().post('/register', { ...person, username: at % 2 ? person.username : person.username.toLowerCase() }),
    );
    expect(statuses(answers).filter((status) => status === 200).length).toBe(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) expectProblem(answer, 409, 'user_exists');
    await login(context.client, person);
  });

  it('check five of fifty wrong passwords, and lock the account for the right one', async () => {
    const { username, password } = await register(context.client);
    const answers = await times(50, () => nobody().post('/login', { username, password: 'Wrong-Horse-7' }));
    expect(statuses(answers).filter((status) => status === 401).length).toBeLessThanOrEqual(5);
    expect(statuses(answers).every((status) => status === 401 || status === 429)).toBe(true);
    const fill = await times(5, () => nobody().post('/login', { username, password: 'Wrong-Horse-7' }));
    expect(statuses(fill)).toContain(429);
    expectProblem(await nobody().post('/login', { username, password }), 429, 'too_many_attempts');
  });

  it('let twenty right logins of one account pass', async () => {
    const { username, password } = await register(context.client);
    const answers = await times(20, () => nobody().post('/login', { username, password }));
    expect(statuses(answers)).toEqual(Array<number>(20).fill(200));
  });

  it('check five of fifty wrong passwords of a session, and leave the account alone', async () => {
    const { person, client } = await signUp(context.client);
    const { password } = person;
    const answers = await times(50, () => client.post('/step-up', { password: 'Wrong-Horse-7' }));
    expect(statuses(answers).filter((status) => status === 401).length).toBeLessThanOrEqual(5);
    expect(statuses(answers).every((status) => status === 401 || status === 429)).toBe(true);
    await times(5, () => client.post('/step-up', { password: 'Wrong-Horse-7' }));
    expectProblem(await client.post('/step-up', { password }), 429, 'too_many_attempts');
    await login(context.client, person);
  });

  it('give one successor to forty refreshes with one token', async () => {
    const tokens = await login(context.client, await register(context.client));
    const answers = await times(40, () => nobody().post('/token/refresh', { refresh_token: tokens.refresh_token }));
    const successors = answers.map((answer) => (expectStatus(answer, 200) as Tokens).refresh_token);
    expect(new Set(successors).size).toBe(1);
    expectStatus(await nobody().post('/token/refresh', { refresh_token: successors[0] }), 200);
  });

  it('accept a TOTP step once, over several logins', async () => {
    const { person, secret } = await withTotp();
    const steps = [await firstStep(person), await firstStep(person), await firstStep(person)];
    const otp = totpCode(secret);
    const answers = await times(6, (at) => nobody().post('/verify-otp', { ...steps[at % 3], otp }));
    expect(statuses(answers).filter((status) => status === 200).length).toBe(1);
  });

  it('accept a recovery code once, of thirty', async () => {
    const { person, client } = await withTotp();
    const { codes } = expectStatus(await client.post('/2fa/recovery-codes'), 200) as { codes: string[] };
    const steps = [await firstStep(person), await firstStep(person), await firstStep(person)];
    const answers = await times(30, (at) => nobody().post('/verify-otp', { ...steps[at % 3], otp: codes[0] }));
    expect(statuses(answers).filter((status) => status === 200).length).toBe(1);
    expect((await client.get('/2fa')).json.recovery_codes_left).toBe(9);
  });

  it('compare no more wrong codes than there are tries, and refuse the right one afterwards', async () => {
    const { person, client } = await signUp(context.client);
    const { username, email } = person;
    expectStatus(await client.post('/send-otp', { username }), 200);
    const otp = await context.codeFor(email, 1);
    const answers = await times(100, () => client.post('/verify-otp', { username, otp: wrong(otp) }));
    expect(statuses(answers).filter((status) => status === 401).length).toBeLessThanOrEqual(10);
    expect(statuses(answers).every((status) => status === 401 || status === 429)).toBe(true);
    expect((await client.post('/verify-otp', { username, otp })).status).not.toBe(200);
    expect((await client.get('/me')).json.two_factor_enabled).toBe(false);
  });

  it('send one mail for twenty requests', async () => {
    const { person, client } = await signUp(context.client);
    const answers = await times(20, () => client.post('/send-otp', { username: person.username }));
    expect(statuses(answers).sort()).toEqual([200, ...Array<number>(19).fill(429)]);
    expect((await context.mails()).filter(({ to }) => to === person.email).length).toBe(1);
  });

  it('leave no session that a logout on one process ended alive on another', async () => {
    const { client } = await signUp(context.client);
    expect((await client.post('/logout')).status).toBe(204);
    const answers = await times(4, () => client.get('/me'));
    for (const answer of answers) expectProblem(answer, 401, 'invalid_session');
  });
}
