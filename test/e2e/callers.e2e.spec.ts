import { principalsOf, RouteTable } from '../../src/http';
import { MINUTE, newId } from '../../src/kernel';
import { CollectionDefinition, Store } from '../../src/store';
import { type UserDoc, usersCollection } from '../../src/users';
import { login, newPerson, type Person, register, signUp, type Tokens } from '../support/accounts';
import { type Client, expectProblem, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';

let coffer: Coffer;
let admin: Client;
beforeAll(async () => {
  coffer = await startCoffer();
  admin = (await signUp(coffer.client, newPerson('admin'))).client;
}, 120_000);
afterAll(() => coffer.close());

interface Shown {
  readonly id: string;
}

const WRONG = 'Wrong-Horse-7-Battery';
const RECORD = { data_type: 'note', value: 'value' };
const tryLogin = (username: string, password: string) => coffer.client.post('/login', { username, password });

async function withThings(): Promise<{ client: Client; record: string; file: string; group: string; link: string }> {
  const { client } = await signUp(coffer.client);
  const { id: record } = expectStatus(await client.post('/sensitive-data', RECORD), 200) as Shown;
  const { id: file } = expectStatus(await client.upload('report.txt', 'text'), 201) as Shown;
  const { id: group } = expectStatus(await client.post('/groups', { name: 'Friends' }), 200) as Shown;
  const { id: link } = expectStatus(await client.post(`/files/${file}/links`, {}), 200) as Shown;
  return { client, record, file, group, link };
}

describe('An administrator', () => {
  it('finds nothing of another owner: no record, file, version, key, grant, link or group', async () => {
    const { client, record, file, group, link } = await withThings();
    const fresh = { body: 'x', headers: { 'content-type': 'application/octet-stream', 'if-match': '*' } };
    const asked = [
      ['GET', `/sensitive-data/${record}`],
      ['PUT', `/sensitive-data/${record}`, { json: RECORD }],
      ['DELETE', `/sensitive-data/${record}`],
      ...['', '/content', '/content?encrypted=true', '/key', '/versions', '/grants', '/links'].map(
        (path) => ['GET', `/files/${file}${path}`] as const,
      ),
      ['PUT', `/files/${file}/content`, fresh],
      ['PATCH', `/files/${file}`, { json: { name: 'mine' } }],
      ['POST', `/files/${file}/rekey`],
      ['POST', `/files/${file}/verify`],
      ['POST', `/files/${file}/grants`, { json: { username: 'anybody' } }],
      ['POST', `/files/${file}/links`, { json: {} }],
      ['DELETE', `/files/${file}/links/${link}`],
      ['DELETE', `/files/${file}`],
      ['GET', `/groups/${group}`],
      ['DELETE', `/groups/${group}`],
    ] as const;
    for (const [method, path, options] of asked) {
      const { status } = await admin.send(method, path, options);
      expect([method, path, status]).toEqual([method, path, 404]);
    }
    expect((await client.get(`/files/${file}/content`)).text).toBe('text');
    expectStatus(await client.get(`/sensitive-data/${record}`), 200);
  });
});

describe('Somebody who keeps an account locked', () => {
  it('stops logins by the name that was typed alone: sessions go on, and nobody else is refused', async () => {
    const { person, client } = await signUp(coffer.client);
    const tokens = await login(coffer.client, person);
    const record = (await client.post('/sensitive-data', RECORD)).json as Shown;
    for (let count = 0; count < 8; count += 1) await tryLogin(person.username, WRONG);
    expectProblem(await tryLogin(person.username, person.password), 429, 'too_many_attempts');

    expectStatus(await client.get(`/sensitive-data/${record.id}`), 200);
    expectStatus(await coffer.client.post('/token/refresh', { refresh_token: tokens.refresh_token }), 200);
    expectStatus(await client.post('/step-up', { password: person.password }), 200);
    expectStatus(await tryLogin((await register(coffer.client)).username, newPerson().password), 200);
  });
});

/** Both tokens of a session whose last proof is older than what dangerous acts ask for. */
async function stolenSession(): Promise<{ person: Person; owner: Client; tokens: Tokens; thief: Client }> {
  const { person, client: owner } = await signUp(coffer.client);
  const tokens = await login(coffer.client, person);
  coffer.clock.offset += 6 * MINUTE;
  return { person, owner, tokens, thief: coffer.client.as(tokens.access_token) };
}

describe('A thief of a session', () => {
  it('passes no route that asks for a fresh proof, by a refreshed token either', async () => {
    const { tokens, thief } = await stolenSession();
    const refreshed = await coffer.client.post('/token/refresh', { refresh_token: tokens.refresh_token });
    const second = coffer.client.as((expectStatus(refreshed, 200) as Tokens).access_token);
    const asking = coffer.get(RouteTable).routes.filter(({ policy }) => policy.stepUp);
    const routes = asking.filter(
      ({ policy }) => principalsOf(policy).includes('person') && policy.scope !== 'administration',
    );
    expect(routes.length).toBeGreaterThan(8);
    for (const { method, path } of routes.filter(({ method }) => method !== 'HEAD')) {
      const target = path.replace(/:\w+/g, newId());
      for (const client of [thief, second]) expectProblem(await client.send(method, target), 401, 'step_up_required');
    }
  });

  it('keeps nothing once the owner ends the session: neither token is taken', async () => {
    const { owner, tokens, thief } = await stolenSession();
    expectStatus(await thief.get('/me'), 200);
    expectStatus(await owner.delete('/sessions'), 204);
    expectProblem(await thief.get('/me'), 401, 'invalid_session');
    const { refresh_token } = tokens;
    expectProblem(await coffer.client.post('/token/refresh', { refresh_token }), 401, 'invalid_session');
    expectStatus(await owner.get('/me'), 200);
  });
});

/** Accounts with their seals, as they lie in the store. */
const rawUsers: CollectionDefinition<UserDoc & { seal: string }> = {
  ...usersCollection,
  fields: { ...usersCollection.fields, seal: 'string' },
  authenticated: false,
};

describe('Somebody who writes to the database', () => {
  it('makes nobody an administrator: an account whose role was changed there is not believed', async () => {
    const { person, client } = await signUp(coffer.client);
    const rows = coffer.get(Store).collection(rawUsers);
    const row = (await rows.find('username', person.username))!;
    const forged = (await rows.replace({ ...row, role: 'administrator' }))!;
    expectProblem(await client.get('/me'), 401, 'invalid_session');
    expectProblem(await client.post('/rotate-master-key'), 401, 'invalid_session');
    expectProblem(await tryLogin(person.username, person.password), 401, 'login_failed');
    expect(forged.seal).toBe(row.seal);
  });
});
