import { login, type Person, register, type Tokens } from '../../../test/support/accounts';
import { type Answer, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { DAY, HOUR, SECOND } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { sessionsCollection } from './session.collection';
import { Sessions } from './sessions';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

const refresh = (refresh_token: unknown): Promise<Answer> => coffer.client.post('/token/refresh', { refresh_token });
const me = (tokens: Tokens): Promise<Answer> => coffer.client.as(tokens.access_token).get('/me');

async function opened(): Promise<{ person: Person; tokens: Tokens }> {
  const person = await register(coffer.client);
  return { person, tokens: await login(coffer.client, person) };
}

async function refreshed(tokens: Tokens): Promise<Tokens> {
  return expectStatus(await refresh(tokens.refresh_token), 200) as Tokens;
}

describe('POST /token/refresh', () => {
  it('is not taken for a second use where the session is stored again meanwhile, as a rotation of the user key does', async () => {
    const { tokens } = await opened();
    const sessions = coffer.get(Sessions);
    const advance = sessions.advance.bind(sessions);
    sessions.advance = async (session) => {
      sessions.advance = advance;
      await sessions.replace(session);
      return advance(session);
    };
    const next = await refreshed(tokens);
    expectStatus(await me(next), 200);
  });

  it('gives the tokens of a login, and leaves the former access token to run out', async () => {
    const { tokens } = await opened();
    const next = await refreshed(tokens);
    expect(next).toEqual({
      access_token: expect.any(String),
      token_type: 'bearer',
      expires_in: 3600,
      refresh_token: expect.any(String),
    });
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
    for (const each of [tokens, next]) expectStatus(await me(each), 200);
  });

  it('gives one successor to fifty requests at once, and to a late one within 20 seconds', async () => {
    const { tokens } = await opened();
    const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(tokens.refresh_token)));
    const given = answers.map((answer) => expectStatus(answer, 200) as Tokens);
    expect(new Set(given.map(({ refresh_token }) => refresh_token)).size).toBe(1);
    expect(new Set(given.map(({ access_token }) => access_token)).size).toBe(1);
    coffer.clock.offset += 15 * SECOND;
    expect((await refreshed(tokens)).refresh_token).toBe(given[0]?.refresh_token);
    await refreshed(given[0]!);
  });

  it('ends the session of a token that comes back later, and says so in the log', async () => {
    const { tokens } = await opened();
    const next = await refreshed(tokens);
    coffer.clock.offset += 21 * SECOND;
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    expectProblem(await refresh(next.refresh_token), 401, 'invalid_session');
    expectProblem(await me(next), 401, 'invalid_session');
  });

  it('ends the session of a token that is two generations old, however young it is', async () => {
    const { tokens } = await opened();
    const last = await refreshed(await refreshed(tokens));
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    expectProblem(await refresh(last.refresh_token), 401, 'invalid_session');
  });

  it('does not take a replay for recent because the clock went back', async () => {
    const { tokens } = await opened();
    await refreshed(tokens);
    coffer.clock.offset -= 2 * HOUR;
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    coffer.clock.offset += 2 * HOUR;
  });

  it('refuses what a step-up replaced, within the window too, and does not end the session for it', async () => {
    const { person, tokens } = await opened();
    const session = coffer.client.as(tokens.access_token);
    const fresh = expectStatus(await session.post('/step-up', { password: person.password }), 200) as Tokens;
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    coffer.clock.offset += 60 * SECOND;
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    await refreshed(fresh);
  });

  it.each<[string, (token: string) => unknown]>([
    ['of a session that never was', (token) => token.replace(/^[0-9a-f]{8}/, '00000000')],
    ['of a generation to come', (token) => token.replace('.1.', '.2.')],
    ['of a generation with a leading zero', (token) => token.replace('.1.', '.01.')],
    ['with another MAC', (token) => token.slice(0, -2) + (token.endsWith('AA') ? 'BB' : 'AA')],
    ['without its MAC', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['with something behind it', (token) => `${token}.x`],
    ['empty', () => ''],
  ])('refuses a token %s, and the session goes on', async (_what, forge) => {
    const { tokens } = await opened();
    expectProblem(await refresh(forge(tokens.refresh_token)), 401, 'invalid_session');
    await refreshed(tokens);
  });

  it('refuses an access token', async () => {
    const { tokens } = await opened();
    expectProblem(await refresh(tokens.access_token), 401, 'invalid_session');
  });

  it.each([[{ $ne: null }], [['x']], [7], [null], [undefined], ['x'.repeat(5_000)]])(
    'answers 400 to %j',
    async (refresh_token) => expectProblem(await refresh(refresh_token), 400, 'validation_failed'),
  );

  it('refuses after the logout, after the end of the session from elsewhere, and for a disabled account', async () => {
    const { tokens } = await opened();
    await coffer.client.as(tokens.access_token).post('/logout');
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
    const { person, tokens: other } = await opened();
    const users = coffer.get(Store).collection(usersCollection);
    await users.replace({ ...(await users.find('username', person.username))!, state: 'disabled' });
    expectProblem(await refresh(other.refresh_token), 403, 'account_disabled');
  });

  it('keeps a session alive that is refreshed within a week, for 30 days at most', async () => {
    const { tokens } = await opened();
    let newest = tokens;
    for (let day = 6; day < 30; day += 6) {
      coffer.clock.offset += 6 * DAY;
      newest = await refreshed(newest);
    }
    coffer.clock.offset += 6 * DAY;
    expectProblem(await refresh(newest.refresh_token), 401, 'invalid_session');
  });

  it('does not revive a session that nobody refreshed for a week', async () => {
    const { tokens } = await opened();
    coffer.clock.offset += 7 * DAY;
    expectProblem(await refresh(tokens.refresh_token), 401, 'invalid_session');
  });

  it('leaves nothing in the store that could be presented', async () => {
    const { tokens } = await opened();
    const sessions = coffer.get(Store).collection(sessionsCollection);
    const row = await sessions.find('_id', tokens.refresh_token.split('.')[0]!);
    expect(row).toMatchObject({ generation: 1 });
    expect(JSON.stringify(row)).not.toContain(tokens.refresh_token.split('.')[2]);
  });
});
