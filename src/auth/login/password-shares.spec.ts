import { login, newPerson, type Person, register, signUp } from '../../../test/support/accounts';
import { type Answer } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';

const OTHERS = 4;
/** More requests than the queue holds for one running hash. */
const FLOOD = 90;

let coffer: Coffer;
let people: Person[];

beforeAll(async () => {
  const env = { RATE_LIMITS: 'on', RATE_LIMIT_LOGIN: '1000', TRUSTED_PROXIES: 'loopback' };
  coffer = await startCoffer({ env });
  people = await Promise.all(Array.from({ length: OTHERS }, (_, at) => register(coffer.client, newPerson(`p${at}`))));
});
afterAll(() => coffer.close());

const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
const loginFrom = (address: string, { username, password }: Person): Promise<Answer> =>
  coffer.client.send('POST', '/login', { json: { username, password }, ...from(address) });
const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T>[] =>
  Array.from({ length: count }, (_, at) => work(at));

/** The others log in, each from a different address, after the flood has arrived. */
async function othersDuring(flood: readonly Promise<Answer>[]): Promise<number[]> {
  await Promise.race(flood);
  const answers = await Promise.all(people.map((person, at) => loginFrom(`198.51.100.${at + 1}`, person)));
  return answers.map(({ status }) => status);
}

/** The responses to the flood so far. */
function answered(flood: readonly Promise<Answer>[]): Answer[] {
  const answers: Answer[] = [];
  for (const one of flood) void one.then((answer) => answers.push(answer));
  return answers;
}

describe('a login', () => {
  it('is not refused while one account makes links with passwords, not even at the same address', async () => {
    const { client, person } = await signUp(coffer.client, newPerson('links'));
    const flood = times(FLOOD, () => client.send('POST', '/upload-links', { json: { password: 'Correct-Horse-7' } }));
    expect(await othersDuring(flood)).toEqual(Array(OTHERS).fill(200));
    await login(coffer.client, person);
    const refused = (await Promise.all(flood)).filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.json).toMatchObject({ code: 'rate_limited' });
  });

  it('is not refused while one address, within its limit, has more logins than the queue holds', async () => {
    const flood = times(FLOOD, (at) => loginFrom('192.0.2.1', { ...newPerson(), username: `nobody-${at}` }));
    const answers = answered(flood);
    expect(await othersDuring(flood)).toEqual(Array(OTHERS).fill(200));
    const full = answers.filter(({ status }) => status === 503);
    expect(full.length).toBeGreaterThan(0);
    expect(full[0]?.json).toMatchObject({ code: 'overloaded' });
    expect(full[0]?.headers['retry-after']).toBe('1');
    await Promise.all(flood);
    expect(answers.filter(({ status }) => status === 429)).toEqual([]);
  });
});
