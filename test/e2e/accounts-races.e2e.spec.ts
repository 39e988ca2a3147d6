import { login, type Person, signUp } from '../support/accounts';
import { type Answer, type Client, expectStatus } from '../support/client';
import { isLong } from '../support/parts';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

const ROUNDS = isLong() ? 100 : 5;

/**
 * Passwords, addresses and roles, changed by several at the same time: on one process, and on two
 * that share a database.
 */
describeOnProfiles('Accounts changed at the same time', (context) => races(context), { admin: false });

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status);
const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)));

function races(context: ProfileContext): void {
  const again = async (person: Person): Promise<Client> =>
    context.client.as((await login(context.client, person)).access_token);
  const idOf = async (client: Client): Promise<string> => (await client.get('/me')).json.id as string;

  async function isAdministrator(person: Person): Promise<boolean> {
    const { username, password } = person;
    const answer = await context.client.post('/login', { username, password });
    if (answer.status !== 200) return false;
    return (await context.client.as(answer.json.access_token as string).get('/users')).status === 200;
  }

  it('leave one administrator of two who demote or disable each other, round by round', async () => {
    let { person: keeper } = await signUp(context.client);
    for (let round = 0; round < ROUNDS; round += 1) {
      const one = await again(keeper);
      const { person: challenger, client: two } = await signUp(context.client);
      const [first, second] = [await idOf(one), await idOf(two)];
      expectStatus(await one.post(`/users/${second}/role`, { role: 'administrator' }), 204);
      const [act, body] =
        round % 2 === 0 ? (['disable', undefined] as const) : (['role', { role: 'auditor' }] as const);
      const answers = await Promise.all([
        one.post(`/users/${second}/${act}`, body),
        two.post(`/users/${first}/${act}`, body),
      ]);
      for (const status of statuses(answers)) expect([204, 401, 403, 409]).toContain(status);
      const left = [];
      for (const person of [keeper, challenger]) if (await isAdministrator(person)) left.push(person);
      expect(left.length).toBe(1);
      keeper = left[0]!;
    }
  }, 120_000);

  it('set one password of twenty resets and changes, and leave no session of before but the one that changed it', async () => {
    const { person, client } = await signUp(context.client);
    const { password } = person;
    const others = await times(4, () => again(person));
    const answers = await times(20, (at) =>
      client.post('/password/change', { current_password: password, new_password: `Another-Strong-${at}-Phrase` }),
    );
    const held = answers.flatMap(({ status }, at) => (status === 204 ? [at] : []));
    expect(held.length).toBe(1);
    await login(context.client, { ...person, password: `Another-Strong-${held[0]}-Phrase` });
    expect(statuses(await Promise.all(others.map((other) => other.get('/me'))))).toEqual([401, 401, 401, 401]);
  });
}
