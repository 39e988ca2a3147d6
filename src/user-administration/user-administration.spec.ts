import { login, type Person, signUp } from '../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../test/support/client';
import { Coffer, startCoffer } from '../../test/support/coffer';
import { MINUTE } from '../kernel';
import { Users } from '../users';

let coffer: Coffer;
let first: { person: Person; client: Client };
beforeAll(async () => {
  coffer = await startCoffer();
  first = await signUp(coffer.client);
});
afterAll(() => coffer.close());

interface Account {
  readonly person: Person;
  readonly client: Client;
  readonly id: string;
}

async function account(): Promise<Account> {
  const { person, client } = await signUp(coffer.client);
  return { person, client, id: (await client.get('/me')).json.id as string };
}
const act = (id: string, what: string, json?: object): Promise<Answer> =>
  first.client.post(`/users/${id}/${what}`, json);
const list = async (query: Record<string, string | number>, client = first.client) =>
  expectStatus(await client.get('/users', { query }), 200) as {
    items: { id: string; username: string; role: string; state: string }[];
    next_cursor: string | null;
  };
const rowOf = (id: string) => coffer.get(Users).byId(id);

describe('GET /users', () => {
  it('finds accounts by a part of name or address, role and state, as /me with the state', async () => {
    const { person, client, id } = await account();
    const me = (await client.get('/me')).json as object;
    for (const search of [person.username, person.username.toUpperCase(), person.email.slice(2)]) {
      expect((await list({ search })).items).toEqual([{ ...me, state: 'active' }]);
    }
    expectStatus(await act(id, 'disable'), 204);
    expect((await list({ search: person.username, state: 'active' })).items).toEqual([]);
    expect((await list({ search: person.username, state: 'disabled' })).items.map((user) => user.id)).toEqual([id]);
    expect((await list({ search: person.username, role: 'auditor' })).items).toEqual([]);
    expect((await list({ role: 'administrator' })).items.map((user) => user.username)).toEqual([first.person.username]);
  });

  it('goes on page by page, over all accounts once', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => account()));
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await list({ limit: 2, ...(cursor === null ? {} : { cursor }) });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(made.map(({ id }) => id)));
    const { next_cursor } = await list({ limit: 1 });
    const moved = await first.client.get('/users', { query: { limit: 1, cursor: next_cursor!, role: 'user' } });
    expectProblem(moved, 400, 'invalid_cursor');
  });

  it.each([
    ['a role that there is not', { role: 'root' }],
    ['a state that is not shown', { state: 'erasing' }],
    ['a search twice as long as an address', { search: 'x'.repeat(500) }],
    ['a parameter that there is not', { password: 'x' }],
    ['no number', { limit: 'all' }],
  ])('refuses %s', async (_what, query) => {
    expectStatus(await first.client.get('/users', { query }), 400);
  });

  it('takes a search for text and not for a pattern', async () => {
    for (const search of ['.*', '(a+)+$', '$where', '^']) expect((await list({ search })).items).toEqual([]);
  });

  it('leaves accounts out that are being registered or erased', async () => {
    const { person, id } = await account();
    for (const state of ['pending', 'erasing'] as const) {
      await coffer.get(Users).change(id, (user) => ({ ...user, state }));
      expect((await list({ search: person.username })).items).toEqual([]);
      for (const what of ['disable', 'enable', 'unlock', 'end-sessions']) {
        expectProblem(await act(id, what), 404, 'not_found');
      }
      expectProblem(await act(id, 'role', { role: 'auditor' }), 404, 'not_found');
    }
  });
});

describe('What an administrator does with an account', () => {
  it.each(['disable', 'enable', 'unlock', 'end-sessions', 'role'])('%s: nobody else does it', async (what) => {
    const { client, id } = await account();
    const body = what === 'role' ? { role: 'administrator' } : undefined;
    expectProblem(await client.post(`/users/${id}/${what}`, body), 403, 'permission_denied');
    expectProblem(await coffer.client.post(`/users/${id}/${what}`, body), 401, 'unauthenticated');
    expectStatus(await act(id, 'role', { role: 'auditor' }), 204);
    expectProblem(await client.post(`/users/${id}/${what}`, body), 403, 'permission_denied');
    expectProblem(await client.get('/users'), 403, 'permission_denied');
    expectProblem(await act('019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f', what, body), 404, 'not_found');
    expect((await rowOf(id))?.role).toBe('auditor');
  });

  it('disables it at the next request: sessions, refreshes, waiting logins; says so after the right password only', async () => {
    const { person, client, id } = await account();
    const { refresh_token } = await login(coffer.client, person);
    const { username, password } = person;
    expectStatus(await act(id, 'disable'), 204);
    expectStatus(await act(id, 'disable'), 204);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectProblem(await coffer.client.post('/token/refresh', { refresh_token }), 401, 'invalid_session');
    expectProblem(await coffer.client.post('/login', { username, password: 'Wrong-7-Horse' }), 401, 'login_failed');
    expectProblem(await coffer.client.post('/login', { username, password }), 403, 'account_disabled');
    expectStatus(await act(id, 'enable'), 204);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    await login(coffer.client, person);
  });

  it('leaves no session of logins that race a disablement', async () => {
    const { person, id } = await account();
    const { username, password } = person;
    const logins = Promise.all(Array.from({ length: 10 }, () => coffer.client.post('/login', { username, password })));
    expectStatus(await act(id, 'disable'), 204);
    expectStatus(await act(id, 'enable'), 204);
    const before = (await logins).filter(({ status }) => status === 200);
    const states = await Promise.all(
      before.map(({ json }) => coffer.client.as(json.access_token as string).get('/sessions')),
    );
    // Those that were opened behind the enablement are right; all others are gone.
    for (const { status } of states) expect([200, 401]).toContain(status);
    expectStatus(await act(id, 'end-sessions'), 204);
    for (const { json } of before) {
      expectProblem(await coffer.client.as(json.access_token as string).get('/me'), 401, 'invalid_session');
    }
  });

  it('unlocks it', async () => {
    const { person, id } = await account();
    const { username, password } = person;
    for (let count = 0; count < 5; count += 1)
      await coffer.client.post('/login', { username, password: 'Wrong-7-Horse' });
    expectProblem(await coffer.client.post('/login', { username, password }), 429, 'too_many_attempts');
    expectStatus(await act(id, 'unlock'), 204);
    await login(coffer.client, person);
  });

  it('ends its sessions, and those alone', async () => {
    const { person, client, id } = await account();
    const { client: other } = await account();
    expectStatus(await act(id, 'end-sessions'), 204);
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectStatus(await other.get('/me'), 200);
    await login(coffer.client, person);
  });

  it('gives it a role that holds for the tokens that it has', async () => {
    const { client, id } = await account();
    expectStatus(await act(id, 'role', { role: 'administrator' }), 204);
    expectStatus(await client.get('/users'), 200);
    expectStatus(await client.post(`/users/${id}/role`, { role: 'user' }), 204);
    expectProblem(await client.get('/users'), 403, 'permission_denied');
    expect((await client.get('/me')).json.role).toBe('user');
  });

  it.each([{ role: 'root' }, { role: ['administrator'] }, {}, { role: 'user', state: 'active' }])(
    'takes no role that is none: %j',
    async (body) => {
      const { id } = await account();
      expectStatus(await act(id, 'role', body), 400);
    },
  );
});

describe('The last administrator', () => {
  it('is neither demoted nor disabled', async () => {
    const { json } = await first.client.get('/me');
    const id = json.id as string;
    for (const role of ['user', 'auditor']) expectProblem(await act(id, 'role', { role }), 409, 'conflict');
    expectProblem(await act(id, 'disable'), 409, 'conflict');
    expectStatus(await act(id, 'role', { role: 'administrator' }), 204);
    const { id: other } = await account();
    expectStatus(await act(other, 'role', { role: 'administrator' }), 204);
    expectStatus(await act(other, 'disable'), 204);
    expectProblem(await act(id, 'disable'), 409, 'conflict');
    expect(await rowOf(id)).toMatchObject({ role: 'administrator', state: 'active' });
    expect((await rowOf(id))?.leaving).toBeUndefined();
  });

  it('is found although a process died in the midst of an act', async () => {
    const { json } = await first.client.get('/me');
    const [one, two] = [await account(), await account()];
    for (const { id } of [one, two]) expectStatus(await act(id, 'role', { role: 'administrator' }), 204);
    await coffer.get(Users).change(one.id, (user) => ({ ...user, leaving: 'of-a-dead-process' }));
    expectStatus(await act(two.id, 'role', { role: 'user' }), 204);
    await coffer.get(Users).change(json.id as string, (user) => ({ ...user, leaving: 'of-a-dead-process' }));
    expectStatus(await act(one.id, 'disable'), 204);
    expectProblem(await act(json.id as string, 'disable'), 409, 'conflict');
  });

  it('asks for a fresh login before a role is changed', async () => {
    const { id } = await account();
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(await act(id, 'role', { role: 'administrator' }), 401, 'step_up_required');
  });
});
