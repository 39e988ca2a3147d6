import { login, type Person, register, signUp, type Tokens } from '../../../test/support/accounts';
import { type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { Coffer, startCoffer } from '../../../test/support/coffer';
import { DAY } from '../../kernel';
import { Store } from '../../store';
import { usersCollection } from '../../users';
import { sessionsCollection } from './session.collection';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

interface Listed {
  readonly items: { readonly id: string; readonly current: boolean; readonly device: string | null }[];
  readonly next_cursor: string | null;
}

const list = async (client: Client, query = ''): Promise<Listed> =>
  expectStatus(await client.get(`/sessions${query}`), 200) as Listed;

async function another(person: Person, userAgent = 'curl/8.5.0'): Promise<Client> {
  const { username, password } = person;
  const answer = await coffer.client.post('/login', { username, password }, { headers: { 'user-agent': userAgent } });
  return coffer.client.as((expectStatus(answer, 200) as Tokens).access_token);
}

describe('GET /sessions', () => {
  it('lists where one is logged in, oldest first, with the one that asks marked', async () => {
    const { person, client } = await signUp(coffer.client);
    const second = await another(person, 'Firefox');
    const { items, next_cursor } = await list(second);
    expect(items).toEqual([
      expect.objectContaining({ current: false }),
      {
        id: expect.any(String),
        current: true,
        created_at: expect.stringMatching(/Z$/),
        last_used_at: expect.stringMatching(/Z$/),
        expires_at: expect.stringMatching(/Z$/),
        address: '127.0.0.1',
        device: 'Firefox',
      },
    ]);
    expect(next_cursor).toBeNull();
    expect((await list(client)).items.map(({ current }) => current)).toEqual([true, false]);
  });

  it('keeps address and user agent sealed', async () => {
    const person = await register(coffer.client);
    await another(person, 'A-Very-Recognisable-Agent/1.0');
    const user = await coffer.get(Store).collection(usersCollection).find('username', person.username);
    const { items } = await coffer.get(Store).collection(sessionsCollection).list('user', [user!._id], { limit: 5 });
    expect(items[0]?.client).toMatch(/^[0-9a-f]+$/);
    expect(JSON.stringify(items)).not.toContain('Recognisable');
    expect(JSON.stringify(items)).not.toContain('127.0.0.1');
  });

  it('shows nobody the sessions of somebody else', async () => {
    const [{ client: mine }, { client: other }] = [await signUp(coffer.client), await signUp(coffer.client)];
    const ids = (await list(other)).items.map(({ id }) => id);
    expect((await list(mine)).items.map(({ id }) => id)).not.toEqual(expect.arrayContaining(ids));
  });

  it('pages, with a cursor that is good for its user only', async () => {
    const { person, client } = await signUp(coffer.client);
    await another(person);
    const first = await list(client, '?limit=1');
    expect(first).toMatchObject({ items: [{ current: true }], next_cursor: expect.any(String) });
    const second = await list(client, `?limit=1&cursor=${first.next_cursor!}`);
    expect(second.items).toEqual([expect.objectContaining({ current: false })]);
    const { client: other } = await signUp(coffer.client);
    expectProblem(await other.get(`/sessions?cursor=${first.next_cursor!}`), 400, 'invalid_cursor');
  });

  it('leaves out a session that is over and not swept yet', async () => {
    const { person } = await signUp(coffer.client);
    coffer.clock.offset += 8 * DAY;
    const newest = await another(person);
    expect((await list(newest)).items).toEqual([expect.objectContaining({ current: true })]);
  });

  it('holds twenty at most: the oldest one makes room', async () => {
    const { person, client } = await signUp(coffer.client);
    const logins = await Promise.all(Array.from({ length: 4 }, () => another(person)));
    for (let count = 0; count < 15; count += 1) logins.push(await another(person));
    expect((await list(client)).items.length).toBe(20);
    const newest = await another(person);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expect((await list(newest)).items.length).toBe(20);
    for (const session of logins) expectStatus(await session.get('/me'), 200);
  });
});

describe('Ending sessions', () => {
  it('ends the one that logs out, access and refresh token, and no other', async () => {
    const person = await register(coffer.client);
    const tokens = await login(coffer.client, person);
    const other = await another(person);
    const session = coffer.client.as(tokens.access_token);
    const answer = await session.post('/logout');
    expect(answer.status).toBe(204);
    expect(answer.headers['clear-site-data']).toContain('"storage"');
    expectProblem(await session.get('/me'), 401, 'invalid_session');
    expectProblem(await session.post('/logout'), 401, 'invalid_session');
    const refresh = await coffer.client.post('/token/refresh', { refresh_token: tokens.refresh_token });
    expectProblem(refresh, 401, 'invalid_session');
    expectStatus(await other.get('/me'), 200);
  });

  it('ends one by its id, once', async () => {
    const { person, client } = await signUp(coffer.client);
    const other = await another(person);
    const id = (await list(other)).items.find(({ current }) => current)!.id;
    expect((await client.delete(`/sessions/${id}`)).status).toBe(204);
    expectProblem(await other.get('/me'), 401, 'invalid_session');
    expectProblem(await client.delete(`/sessions/${id}`), 404, 'not_found');
  });

  it('answers for the session of somebody else as for one that does not exist, and leaves it open', async () => {
    const [{ client: mine }, { client: other }] = [await signUp(coffer.client), await signUp(coffer.client)];
    const { id } = (await list(other)).items[0]!;
    const [foreign, missing] = [await mine.delete(`/sessions/${id}`), await mine.delete('/sessions/no-such-session')];
    expectProblem(foreign, 404, 'not_found');
    expect({ ...foreign.json, instance: '' }).toEqual({ ...missing.json, instance: '' });
    expectStatus(await other.get('/me'), 200);
  });

  it('ends all others and keeps the one that asks', async () => {
    const { person, client } = await signUp(coffer.client);
    const others = [await another(person), await another(person)];
    expect((await client.delete('/sessions')).status).toBe(204);
    for (const other of others) expectProblem(await other.get('/me'), 401, 'invalid_session');
    expect((await list(client)).items).toEqual([expect.objectContaining({ current: true })]);
    expect((await client.delete('/sessions')).status).toBe(204);
  });

  it.each([
    ['POST', '/logout'],
    ['GET', '/sessions'],
    ['DELETE', '/sessions'],
    ['DELETE', '/sessions/x'],
    ['GET', '/me'],
    ['GET', '/2fa'],
  ])('%s %s wants a token', async (method, path) => {
    expectProblem(await coffer.client.send(method, path), 401, 'unauthenticated');
  });
});
