import { join } from 'node:path';
import { MINUTE, SystemClock } from '../../src/kernel';
import { GrantDoc, grantCollection } from '../../src/sharing/grants/grant.collection';
import { Store, CollectionDefinition } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { MongoStore } from '../../src/store/mongo';
import { usersCollection } from '../../src/users';
import { type Person, login, signUp } from '../support/accounts';
import { type Answer, Client, expectProblem, expectStatus, type SendOptions } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

const CONTENT = 'what the owner lets others read, '.repeat(40);

interface Someone {
  readonly person: Person;
  readonly client: Client;
}

interface Shown {
  readonly id: string;
}

const fileOf = async (owner: Someone, name = `${Math.random()}.txt`): Promise<string> =>
  (expectStatus(await owner.client.upload(name, CONTENT), 201) as Shown).id;
const grant = async (owner: Someone, file: string, to: object): Promise<Shown & { state: string }> =>
  expectStatus(await owner.client.post(`/files/${file}/grants`, to), 201) as Shown & { state: string };
const toName = ({ person }: Someone): object => ({ username: person.username });
const shared = async ({ client }: Someone): Promise<string[]> =>
  (expectStatus(await client.get('/files?shared=true'), 200) as { items: Shown[] }).items.map(({ id }) => id);
const isGone = async ({ client }: Someone, file: string): Promise<void> => {
  expectProblem(await client.get(`/files/${file}`), 404, 'file_not_found');
  expectProblem(await client.get(`/files/${file}/content`), 404, 'file_not_found');
};
const reads = async ({ client }: Someone, file: string): Promise<void> => {
  expect((await client.get(`/files/${file}/content`)).text).toBe(CONTENT);
};

/** The same account at one process of the service. */
const at = (context: ProfileContext, someone: Someone, process: number): Someone => {
  const { url } = context.services[process % context.services.length]!;
  return { ...someone, client: new Client(url, someone.client.token) };
};

interface People {
  readonly owner: Someone;
  readonly friend: Someone;
  readonly stranger: Someone;
}

async function newPeople(context: ProfileContext): Promise<People> {
  const [owner, friend, stranger] = await Promise.all([1, 2, 3].map(() => signUp(context.client)));
  return { owner: owner!, friend: friend!, stranger: stranger! };
}

interface Known {
  readonly at: number;
  readonly people: Promise<People>;
}

/** For as long as their logins are fresh enough to grant, with time to spare for the test. */
const FRESH_MS = 2 * MINUTE;
const known = new Map<ProfileContext, Known>();

/**
 * The same three for all tests that neither end one of them nor look at all that they were granted.
 */
function people(context: ProfileContext): Promise<People> {
  const before = known.get(context);
  if (before !== undefined && Date.now() - before.at < FRESH_MS) return before.people;
  const made = { at: Date.now(), people: newPeople(context) };
  known.set(context, made);
  return made.people;
}

const NEW_CONTENT = {
  body: 'another content',
  headers: { 'content-type': 'application/octet-stream', 'if-match': '*' },
};

/**
 * The routes of one file, and what its owner and a grantee get. To anybody else there is no such
 * file.
 */
const ROUTES: readonly (readonly [
  method: string,
  path: string,
  own: number,
  granted: number,
  options?: (owner: Someone) => SendOptions,
])[] = [
  ['GET', '', 200, 200],
  ['GET', '/content', 200, 200],
  ['HEAD', '/content', 200, 200],
  ['GET', '/content?encrypted=true', 200, 200],
  ['GET', '/content?version=1', 200, 200],
  ['GET', '/content?version=2', 404, 403],
  ['GET', '/key', 200, 403],
  ['GET', '/grants', 200, 403],
  ['POST', '/grants', 409, 403, (owner) => ({ json: toName(owner) })],
  ['DELETE', '/grants/019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f', 404, 403],
  ['GET', '/links', 200, 403],
  ['POST', '/links', 200, 403, () => ({ json: {} })],
  ['DELETE', '/links/019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f', 404, 403],
  ['PATCH', '', 200, 403, () => ({ json: { content_type: 'text/html' } })],
  ['PUT', '/content', 200, 403, () => NEW_CONTENT],
  ['GET', '/versions', 200, 403],
  ['POST', '/versions/1/restore', 409, 403],
  ['DELETE', '/versions/1', 409, 403],
  ['POST', '/rekey', 200, 403],
  ['POST', '/verify', 200, 403],
  ['POST', '/restore', 404, 404],
  ['DELETE', '', 204, 403],
];

function byGrant(context: ProfileContext): void {
  const routes = ROUTES.map(([method, path, own, granted, options]) => ({ method, path, own, granted, options }));
  const title = '$method /files/{id}$path answers an owner $own and a grantee $granted';
  it.each(routes)(title, async ({ method, path, own, granted, options }) => {
    const { owner, friend, stranger } = await people(context);
    const file = await fileOf(owner);
    await grant(owner, file, toName(friend));
    const ask = (client: Client): Promise<Answer> => client.send(method, `/files/${file}${path}`, options?.(owner));
    const answers = [await ask(context.client), await ask(stranger.client), await ask(friend.client)];
    expect(answers.map(({ status }) => status)).toEqual([401, 404, granted]);
    if (method !== 'HEAD') expectProblem(answers[1]!, 404, 'file_not_found');
    if (granted === 403) expectProblem(answers[2]!, 403, 'permission_denied');
    expect((await ask(owner.client)).status).toBe(own);
  });

  it('gives a grantee the content in parts and as it is stored, but by no name', async () => {
    const { owner, friend } = await people(context);
    const file = await fileOf(owner, 'letter.txt');
    const answer = await owner.client.post(`/files/${file}/grants`, toName(friend));
    const { id, created_at, ...rest } = expectStatus(answer, 201) as Record<string, unknown>;
    expect(rest).toEqual({ username: friend.person.username, state: 'active', expires_at: null });
    expect(answer.headers['location']).toBe(`/files/${file}/grants/${String(id)}`);
    expect(created_at).toMatch(/Z$/);
    const part = await friend.client.get(`/files/${file}/content`, { headers: { range: 'bytes=5-9' } });
    expect([part.status, part.text]).toEqual([206, CONTENT.slice(5, 10)]);
    const [theirs, own] = await Promise.all(
      [friend, owner].map(({ client }) => client.get(`/files/${file}/content?encrypted=true`)),
    );
    expect(theirs!.bytes.equals(own!.bytes)).toBe(true);
    expect((await friend.client.get(`/files/${file}`)).json).toEqual((await owner.client.get(`/files/${file}`)).json);
    expectProblem(await friend.client.get('/files/by-name/letter.txt'), 404, 'file_not_found');
    expectProblem(await friend.client.get('/files/by-name/letter.txt/content'), 404, 'file_not_found');
    expect((expectStatus(await friend.client.get('/files'), 200) as { items: [] }).items).toEqual([]);
    expect((expectStatus(await friend.client.get('/files?name=letter.txt'), 200) as { items: [] }).items).toEqual([]);
  });

  it('shows the current version, and none before it', async () => {
    const { owner, friend } = await people(context);
    const file = await fileOf(owner);
    await grant(owner, file, toName(friend));
    expectStatus(await owner.client.send('PUT', `/files/${file}/content`, NEW_CONTENT), 200);
    const content = (version: number): Promise<Answer> =>
      friend.client.get(`/files/${file}/content?version=${version}`);
    expect((await friend.client.get(`/files/${file}/content`)).text).toBe(NEW_CONTENT.body);
    expect((await content(2)).text).toBe(NEW_CONTENT.body);
    expectProblem(await content(1), 403, 'permission_denied');
    expect((await owner.client.get(`/files/${file}/content?version=1`)).text).toBe(CONTENT);
  });

  it('lists for both sides, page by page', async () => {
    const { owner, friend, stranger } = await newPeople(context);
    const files = [await fileOf(owner), await fileOf(owner), await fileOf(owner)];
    for (const file of [...files].reverse()) await grant(owner, file, toName(friend));
    expect(await shared(friend)).toEqual([...files].reverse());
    expect(await shared(owner)).toEqual([]);
    const first = expectStatus(await friend.client.get('/files?shared=true&limit=2'), 200) as {
      items: Shown[];
      next_cursor: string;
    };
    const query = { shared: 'true', cursor: first.next_cursor };
    const second = expectStatus(await friend.client.get('/files', { query }), 200) as typeof first;
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual([...files].reverse());
    expect(second.next_cursor).toBeNull();
    expectProblem(await stranger.client.get('/files', { query }), 400, 'invalid_cursor');
    expectProblem(await friend.client.get('/files', { query: { cursor: first.next_cursor } }), 400, 'invalid_cursor');

    await grant(owner, files[0]!, toName(stranger));
    const { items } = expectStatus(await owner.client.get(`/files/${files[0]}/grants?limit=1`), 200) as typeof first;
    expect(items).toEqual([expect.objectContaining(toName(friend))]);
  });

  it.each([
    ['nobody named', {}, 400, 'validation_failed'],
    ['two named', { username: 'maria', group: 'Friends' }, 400, 'validation_failed'],
    ['an unknown field', { username: 'maria', write: true }, 400, 'validation_failed'],
    ['no time at all', { username: 'maria', expires_in: 0 }, 400, 'validation_failed'],
    ['a time that is no number', { username: 'maria', expires_in: '60' }, 400, 'validation_failed'],
    ['a name that is none', { username: { $ne: '' } }, 400, 'validation_failed'],
    ['no such account', { username: 'nobody-has-this-name' }, 404, 'not_found'],
    ['no such group', { group: 'Friends' }, 404, 'not_found'],
  ])('refuses a grant with %s', async (_what, body, status, code) => {
    const { owner } = await people(context);
    expectProblem(await owner.client.post(`/files/${await fileOf(owner)}/grants`, body), status, code);
  });

  it.each(['name=a.txt', 'prefix=a', 'trash=true'])('refuses shared=true together with %s', async (query) => {
    expectProblem(await context.admin.get(`/files?shared=true&${query}`), 400, 'validation_failed');
  });

  it('ends at the next request after it is revoked, on every process', async () => {
    const { owner, friend } = await people(context);
    const file = await fileOf(owner);
    const { id } = await grant(owner, file, toName(friend));
    for (const process of [0, 1]) await reads(at(context, friend, process), file);
    expectProblem(await friend.client.delete(`/files/${file}/grants/${id}`), 403, 'permission_denied');
    expectStatus(await at(context, owner, 0).client.delete(`/files/${file}/grants/${id}`), 204);
    for (const process of [1, 0]) {
      await isGone(at(context, friend, process), file);
      expect(await shared(at(context, friend, process))).not.toContain(file);
    }
    expectProblem(await owner.client.delete(`/files/${file}/grants/${id}`), 404, 'not_found');
  });

  it('goes with its file', async () => {
    const { owner, friend } = await people(context);
    const file = await fileOf(owner);
    await grant(owner, file, toName(friend));
    expectStatus(await owner.client.delete(`/files/${file}`), 204);
    await isGone(friend, file);
    expect(await shared(friend)).not.toContain(file);
    const raw = rawStore(context);
    const left = await raw.collection(rawGrants).list('resource', ['file', file], { limit: 9 });
    await raw.close();
    expect(left.items).toEqual([]);
  });

  it('opens nothing after its owner was erased, also where the key was in use a moment ago', async () => {
    const { owner, friend } = await newPeople(context);
    const file = await fileOf(owner);
    await grant(owner, file, toName(friend));
    for (const process of [0, 1]) await reads(at(context, friend, process), file);
    expectStatus(await at(context, owner, 0).client.delete('/me'), 200);
    for (const process of [1, 0]) {
      await isGone(at(context, friend, process), file);
      expect(await shared(at(context, friend, process))).toEqual([]);
    }
  });

  it('is gone for whoever takes the name of a grantee who was erased', async () => {
    const { owner, friend } = await newPeople(context);
    const file = await fileOf(owner);
    await grant(owner, file, toName(friend));
    expectStatus(await friend.client.delete('/me'), 200);
    const { items } = expectStatus(await owner.client.get(`/files/${file}/grants`), 200) as { items: [] };
    expect(items).toEqual([]);
    const next = await signUp(context.client, friend.person);
    await isGone(next, file);
    expect(await shared(next)).toEqual([]);
  });
}

/** Proves the address by turning second factors by e-mail on. */
async function verifyAddress(context: ProfileContext, { person, client }: Someone): Promise<Someone> {
  const { username, email } = person;
  expectStatus(await client.post('/send-otp', { username }), 200);
  const otp = await context.codeFor(email);
  const { access_token } = expectStatus(await client.post('/verify-otp', { username, otp }), 200) as {
    access_token: string;
  };
  return { person, client: context.client.as(access_token) };
}

function withAddress(context: ProfileContext): void {
  it('waits until somebody has verified it, and is theirs then', async () => {
    const { owner, friend, stranger } = await newPeople(context);
    const file = await fileOf(owner);
    const email = friend.person.email.toUpperCase();
    const { state, id } = await grant(owner, file, { email });
    expect(state).toBe('pending');
    for (const someone of [friend, stranger]) {
      await isGone(someone, file);
      expect(await shared(someone)).toEqual([]);
    }
    const verified = await verifyAddress(context, friend);
    await reads(verified, file);
    expect(await shared(verified)).toEqual([file]);
    const { items } = expectStatus(await owner.client.get(`/files/${file}/grants`), 200) as { items: object[] };
    expect(items).toEqual([expect.objectContaining({ id, email, state: 'active' })]);
    expect(JSON.stringify(items)).not.toContain(`"${friend.person.username}"`);
    await isGone(stranger, file);
    expectStatus(await owner.client.delete(`/files/${file}/grants/${id}`), 204);
    await isGone(verified, file);
  });
}

function withGroup(context: ProfileContext): void {
  it('admits its members for as long as they are in it and it is there', async () => {
    const { owner, friend, stranger } = await newPeople(context);
    const file = await fileOf(owner);
    const made = await owner.client.post('/groups', { name: 'Bücher & Akten' });
    const group = expectStatus(made, 200) as Shown;
    const member = (someone: Someone): string => `/groups/${group.id}/members/${someone.person.username}`;
    for (const someone of [friend, stranger]) expectStatus(await owner.client.put(member(someone), undefined), 204);
    expectStatus(await owner.client.put(member(friend), undefined), 204);
    expect(await grant(owner, file, { group: 'Bücher & Akten' })).toMatchObject({ group: 'Bücher & Akten' });
    for (const someone of [friend, stranger]) {
      await reads(someone, file);
      expect(await shared(someone)).toEqual([file]);
    }
    const shown = expectStatus(await owner.client.get(`/groups/${group.id}`), 200) as { members: object[] };
    expect(shown.members).toEqual(
      [friend, stranger].map((each): object => expect.objectContaining(toName(each)) as object),
    );
    expectStatus(await at(context, owner, 0).client.delete(member(friend)), 204);
    for (const process of [1, 0]) await isGone(at(context, friend, process), file);
    expectStatus(await at(context, owner, 0).client.delete(`/groups/${group.id}`), 204);
    for (const process of [1, 0]) await isGone(at(context, stranger, process), file);
    expect((expectStatus(await owner.client.get(`/files/${file}/grants`), 200) as { items: [] }).items).toEqual([]);
  });

  it('is seen and changed by its owner alone', async () => {
    const { owner, friend } = await newPeople(context);
    const { id } = expectStatus(await owner.client.post('/groups', { name: 'Mine' }), 200) as Shown;
    expectStatus(await owner.client.put(`/groups/${id}/members/${friend.person.username}`, undefined), 204);
    expectProblem(await owner.client.post('/groups', { name: 'Mine' }), 409, 'conflict');
    expectProblem(await friend.client.get(`/groups/${id}`), 404, 'not_found');
    expectProblem(await friend.client.delete(`/groups/${id}`), 404, 'not_found');
    const member = `/groups/${id}/members/${friend.person.username}`;
    expectProblem(await friend.client.delete(member), 404, 'not_found');
    expectProblem(await friend.client.put(member, undefined), 404, 'not_found');
    expectProblem(await owner.client.put(`/groups/${id}/members/nobody-at-all`, undefined), 404, 'not_found');
    expect((expectStatus(await friend.client.get('/groups'), 200) as { items: [] }).items).toEqual([]);
    const { items } = expectStatus(await owner.client.get('/groups'), 200) as { items: object[] };
    expect(items).toEqual([expect.objectContaining({ id, name: 'Mine' })]);
  });

  it.each(['', ' x', 'x '.repeat(60), 'a\u0000b', '019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f', 7])(
    'is not made with %j for its name',
    async (name) => {
      expectProblem(await context.admin.post('/groups', { name }), 400, 'validation_failed');
    },
  );
}

/** Grants with their seals, as they lie in the store. */
const rawGrants: CollectionDefinition<GrantDoc & { seal: string }> = {
  ...grantCollection,
  fields: { ...grantCollection.fields, seal: 'string' },
  authenticated: false,
};

const rawStore = ({ parts, dataDir }: ProfileContext): Store =>
  parts === undefined
    ? new EmbeddedStore(join(dataDir, 'store'), new SystemClock())
    : new MongoStore({ url: parts.secantus.url, dbName: 'coffer_test' });

function withForgedRows(context: ProfileContext): void {
  it('opens nothing for who writes a grant into the database, or changes one', async () => {
    const { owner, friend, stranger } = await newPeople(context);
    const [file, other] = [await fileOf(owner), await fileOf(owner)];
    const { id } = await grant(owner, file, toName(friend));
    const { id: strangerId } = expectStatus(await stranger.client.get('/me'), 200) as Shown;
    const store = rawStore(context);
    try {
      const rows = store.collection(rawGrants);
      const row = (await rows.find('_id', id))!;
      const { rev: _rev, ...copy } = row;
      const forStranger = { asked_for: strangerId, grantee_id: strangerId };
      await rows.insert({ ...copy, ...forStranger, _id: 'made-up' });
      await rows.insert({ ...copy, resource_id: other, _id: 'moved' });
      await isGone(stranger, file);
      await isGone(friend, other);
      expect(await shared(stranger)).toEqual([]);
      await rows.remove(id);
      await rows.insert({ ...copy, expires_at: row.created_at + 1e12 });
      await isGone(friend, file);
      expect(await shared(friend)).toEqual([]);
    } finally {
      await store.close();
    }
  });
}

describeOnProfiles('Sharing', (context) => {
  describe('by grant', () => byGrant(context));
  describe('with an address', () => withAddress(context));
  describe('with a group', () => withGroup(context));
  describe('and rows from elsewhere', () => withForgedRows(context));
});

describe('Sharing, as time goes by', () => {
  let coffer: Coffer;
  beforeAll(async () => {
    coffer = await startCoffer();
  }, 60_000);
  afterAll(() => coffer.close());

  const two = async (): Promise<{ owner: Someone; friend: Someone; file: string }> => {
    const [owner, friend] = [await signUp(coffer.client), await signUp(coffer.client)];
    return { owner, friend, file: await fileOf(owner) };
  };

  it('ends a grant at its time', async () => {
    const { owner, friend, file } = await two();
    const { id } = await grant(owner, file, { ...toName(friend), expires_in: 600 });
    coffer.clock.offset += 590_000;
    await reads(friend, file);
    coffer.clock.offset += 10_000;
    await isGone(friend, file);
    expect(await shared(friend)).toEqual([]);
    expectProblem(await owner.client.delete(`/files/${file}/grants/${id}`), 404, 'not_found');
  });

  it('ends with a file that expires', async () => {
    const { owner, friend } = await two();
    const answer = await owner.client.upload('short.txt', CONTENT, { fields: { expires_in: '60' } });
    const file = (expectStatus(answer, 201) as Shown).id;
    await grant(owner, file, toName(friend));
    coffer.clock.offset += 60_000;
    await isGone(friend, file);
    expect(await shared(friend)).toEqual([]);
  });

  it('rests while the owner is disabled, and keeps a disabled grantee out', async () => {
    const { owner, friend, file } = await two();
    await grant(owner, file, toName(friend));
    const users = coffer.get(Store).collection(usersCollection);
    const set = async (someone: Someone, state: 'active' | 'disabled'): Promise<void> => {
      const row = (await users.find('username', someone.person.username))!;
      expect(await users.replace({ ...row, state })).toBeDefined();
    };
    await set(owner, 'disabled');
    await isGone(friend, file);
    expect(await shared(friend)).toEqual([]);
    await set(owner, 'active');
    await reads(friend, file);
    await set(friend, 'disabled');
    expectProblem(await friend.client.get(`/files/${file}`), 403, 'account_disabled');
    await set(friend, 'active');
    const back = { ...friend, client: coffer.client.as((await login(coffer.client, friend.person)).access_token) };
    await reads(back, file);
  });
});
