import { signUp } from '../../test/support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { apiKeyText, newApiKey } from '../crypto';
import { MINUTE, SECOND } from '../kernel';
import { Store } from '../store';
import { apiKeysCollection } from './api-key.collection';

interface Key {
  readonly id: string;
  readonly key: string;
  readonly expires_at: string | null;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}

const ALL = ['sensitive-data:read', 'sensitive-data:write', 'files:read', 'files:write', 'files:share'];
const SUBJECTS = ['subjects:create', 'subjects:erase', 'subjects:export'];
const card = { data_type: 'card_number', value: '4111111111111111' };
const note = { data_type: 'note', value: 'buy milk' };

let coffer: Coffer;
let administrator: Client;
let user: Client;
beforeAll(async () => {
  coffer = await startCoffer({ env: { TRUSTED_PROXIES: 'loopback' } });
  ({ client: administrator } = await signUp(coffer.client));
  ({ client: user } = await signUp(coffer.client));
});
afterAll(() => coffer.close());

async function account(scopes: readonly string[] = [...ALL, ...SUBJECTS]): Promise<string> {
  const answer = await administrator.post('/service-accounts', { name: 'shop', scopes });
  return (expectStatus(answer, 201) as { id: string }).id;
}

async function newKey(id: string, body: object = {}): Promise<Key> {
  return expectStatus(await administrator.post(`/service-accounts/${id}/keys`, body), 201) as Key;
}

async function backend(scopes?: readonly string[]): Promise<{ id: string; key: Key; client: Client }> {
  const id = await account(scopes);
  const key = await newKey(id);
  return { id, key, client: coffer.client.as(key.key) };
}

const from = (key: string, address: string, path = '/sensitive-data'): Promise<Answer> =>
  coffer.client.as(key).send('GET', path, { headers: { 'x-forwarded-for': address } });

describe('A service account', () => {
  it('is made with canonical scopes and a Location, listed, and removed', async () => {
    const scopes = ['files:read:a%62', 'files:read:ab', 'sensitive-data:read'];
    const answer = await administrator.post('/service-accounts', { name: 'shop', scopes });
    const body = expectStatus(answer, 201) as { id: string; scopes: string[] };
    expect(body).toEqual({
      id: expect.any(String),
      name: 'shop',
      scopes: ['files:read:ab', 'sensitive-data:read'],
      created_at: expect.any(String),
    });
    expect(answer.headers['location']).toBe(`/service-accounts/${body.id}`);
    const listed = expectStatus(await administrator.get('/service-accounts?limit=200'), 200) as Page<object>;
    expect(listed.items).toContainEqual(body);
    expectStatus(await administrator.delete(`/service-accounts/${body.id}`), 204);
    expectProblem(await administrator.delete(`/service-accounts/${body.id}`), 404, 'not_found');
    expectProblem(await administrator.post(`/service-accounts/${body.id}/keys`, {}), 404, 'not_found');
  });

  it.each([
    ...['sensitive-data:mask', 'sensitive-data:reveal', 'sensitive-data:bulk', 'subjects:any', 'subjects:consent'],
    ...[
      'account',
      'administration',
      'subjects:list',
      'files',
      'files:',
      'files:read:',
      'files:delete',
      '',
      ' files:read',
    ],
    ...['files:read:a b', 'files:read:%ff', 'sensitive-data:read:no type', 'keys:use:x', 'subjects:create:x'],
    `files:read:${'a'.repeat(256)}`,
  ])('cannot have the scope %j', async (scope) => {
    const answer = await administrator.post('/service-accounts', { name: 'shop', scopes: ['files:read', scope] });
    expectProblem(answer, 400, 'validation_failed');
    expect(JSON.stringify(answer.json)).toContain('/scopes/1');
  });

  it('may have keys:use', async () => {
    expect(await account(['keys:use'])).toEqual(expect.any(String));
  });

  it.each([
    ['no scopes', { name: 'shop', scopes: [] }],
    ['no name', { scopes: ['files:read'] }],
    ['an empty name', { name: '', scopes: ['files:read'] }],
    ['scopes in one text', { name: 'shop', scopes: 'files:read' }],
    ['a role', { name: 'shop', scopes: ['files:read'], role: 'administrator' }],
  ])('is refused with %s', async (_what, body) => {
    expectProblem(await administrator.post('/service-accounts', body), 400, 'validation_failed');
  });

  it('is for administrators, with a fresh proof', async () => {
    const id = await account();
    const { key } = await newKey(id);
    const routes: [string, string, object?][] = [
      ['GET', '/service-accounts'],
      ['POST', '/service-accounts', { name: 'x', scopes: ['files:read'] }],
      ['DELETE', `/service-accounts/${id}`],
      ['POST', `/service-accounts/${id}/keys`, {}],
      ['GET', `/service-accounts/${id}/keys`],
      ['DELETE', `/service-accounts/${id}/keys/x`],
    ];
    for (const [method, path, json] of routes) {
      const options = json === undefined ? {} : { json };
      expectProblem(await user.send(method, path, options), 403, 'permission_denied');
      expectProblem(await coffer.client.as(key).send(method, path, options), 403, 'insufficient_scope');
      expectProblem(await coffer.client.as(undefined).send(method, path, options), 401, 'unauthenticated');
    }
    coffer.clock.offset += 6 * MINUTE;
    expectProblem(
      await administrator.post('/service-accounts', { name: 'x', scopes: ['files:read'] }),
      401,
      'step_up_required',
    );
    expectProblem(await administrator.post(`/service-accounts/${id}/keys`, {}), 401, 'step_up_required');
    expectProblem(await administrator.delete(`/service-accounts/${id}`), 401, 'step_up_required');
    coffer.clock.offset -= 6 * MINUTE;
  });
});

describe('A key of a service account', () => {
  it('has prefix, id, secret and checksum, is shown once, and the store has a hash', async () => {
    const id = await account();
    const answer = await administrator.post(`/service-accounts/${id}/keys`, { name: 'production', expires_in: 3_600 });
    const made = expectStatus(answer, 201) as Key;
    expect(made.key).toMatch(new RegExp(`^cfk_${made.id}_[0-9A-Za-z]{38}$`));
    expect(answer.headers['location']).toBe(`/service-accounts/${id}/keys/${made.id}`);
    const listed = expectStatus(await administrator.get(`/service-accounts/${id}/keys`), 200) as Page<object>;
    expect(listed.items).toEqual([
      {
        id: made.id,
        name: 'production',
        created_at: expect.any(String),
        expires_at: made.expires_at,
        last_used_at: null,
        allowed_addresses: [],
      },
    ]);
    const row = await coffer.get(Store).collection(apiKeysCollection).find('_id', made.id);
    expect(JSON.stringify([row, listed])).not.toContain(made.key.slice(21, 53));
  });

  it('reaches the own data of its account, and nothing else', async () => {
    const { client } = await backend();
    const { client: other } = await backend();
    const { id } = expectStatus(await client.post('/sensitive-data', card), 200) as { id: string };
    expect((await client.get(`/sensitive-data/${id}`)).json).toMatchObject(card);
    expectProblem(await other.get(`/sensitive-data/${id}`), 404, 'not_found');
    expectProblem(await user.get(`/sensitive-data/${id}`), 404, 'not_found');
    for (const path of ['/me', '/sessions', '/2fa', '/keys', '/api-keys', '/invitations']) {
      expectProblem(await client.get(path), 403, 'insufficient_scope');
    }
    expectProblem(await client.delete('/me'), 403, 'insufficient_scope');
    expectProblem(await client.post('/rotate-master-key', {}), 403, 'insufficient_scope');
  });

  it('is fresh proof for data: links to its files', async () => {
    const { client } = await backend();
    const file = await client.send('POST', '/files?name=report', { body: Buffer.from('x'), headers: OCTETS });
    const { id } = expectStatus(file, 201) as { id: string };
    const link = expectStatus(await client.post(`/files/${id}/links`, {}), 200) as { url: string };
    const opened = await coffer.client.as(undefined).post('/links/open', { token: link.url.split('#')[1] });
    expectStatus(opened, 200);
  });

  it.each([
    ['of a wrong checksum', (key: string) => `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`],
    ['cut short', (key: string) => key.slice(0, -1)],
    ['of another form', (key: string) => key.replace('cfk_', 'cfk-')],
    ['of another secret', (key: string) => apiKeyText({ id: key.slice(4, 20), secret: newApiKey().secret })],
    ['of another installation', () => newApiKey().text],
  ])('%s is 401', async (_what, change) => {
    const { key } = await backend();
    expectProblem(await coffer.client.as(change(key.key)).get('/sensitive-data'), 401, 'unauthenticated');
  });

  it('in a query is 401', async () => {
    const { key } = await backend();
    const answer = await coffer.client.as(undefined).get(`/sensitive-data?access_token=${key.key}`);
    expectProblem(answer, 401, 'unauthenticated');
  });

  it('that is malformed costs no look into the store', async () => {
    const find = jest.spyOn(coffer.get(Store).collection(apiKeysCollection), 'find');
    await coffer.client.as('cfk_short').get('/sensitive-data');
    expect(find).not.toHaveBeenCalled();
    find.mockRestore();
  });

  it('ends with its revocation, its time and its account', async () => {
    const id = await account();
    const [revoked, late, erased] = [await newKey(id), await newKey(id, { expires_in: 60 }), await newKey(id)];
    const look = ({ key }: Key): Promise<Answer> => coffer.client.as(key).get('/sensitive-data');
    for (const key of [revoked, late, erased]) expectStatus(await look(key), 200);
    expectStatus(await administrator.delete(`/service-accounts/${id}/keys/${revoked.id}`), 204);
    expectProblem(await administrator.delete(`/service-accounts/${id}/keys/${revoked.id}`), 404, 'not_found');
    expectProblem(await look(revoked), 401, 'unauthenticated');
    coffer.clock.offset += 61 * SECOND;
    expectProblem(await look(late), 401, 'unauthenticated');
    coffer.clock.offset -= 61 * SECOND;
    expectStatus(await administrator.delete(`/service-accounts/${id}`), 204);
    expectProblem(await look(erased), 401, 'unauthenticated');
  });

  it('of one account is not removed by the path of another', async () => {
    const { key } = await backend();
    expectProblem(await administrator.delete(`/service-accounts/${await account()}/keys/${key.id}`), 404, 'not_found');
  });

  it('is one of ten, also where twenty are asked for at once', async () => {
    const id = await account();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => administrator.post(`/service-accounts/${id}/keys`, {})),
    );
    expect(answers.filter(({ status }) => status === 201).length).toBe(10);
    for (const answer of answers) if (answer.status !== 201) expectProblem(answer, 409, 'conflict');
  });

  it('holds for its networks, by the address that the proxy names', async () => {
    const allowed_addresses = ['203.0.113.0/24', '2001:db8::/32', '192.0.2.7'];
    const { key } = await newKey(await account(), { allowed_addresses });
    for (const address of ['203.0.113.9', '2001:db8::1', '192.0.2.7']) expectStatus(await from(key, address), 200);
    for (const address of ['203.0.114.9', '2001:db9::1', '192.0.2.8', '127.0.0.1']) {
      expectProblem(await from(key, address), 401, 'unauthenticated');
    }
  });

  it.each(['', 'localhost', '10.0.0.0/33', '10.0.0/8', '::/129', '10.0.0.0/-1', '10.0.0.0/8/8', 7])(
    'does not take %j for a network',
    async (network) => {
      const answer = await administrator.post(`/service-accounts/${await account()}/keys`, {
        allowed_addresses: [network],
      });
      expectProblem(answer, 400, 'validation_failed');
    },
  );

  it('says the minute of its last use, stored once a minute', async () => {
    const { id, key, client } = await backend();
    const rows = coffer.get(Store).collection(apiKeysCollection);
    const first = (await rows.find('_id', key.id))!.rev;
    await Promise.all(Array.from({ length: 20 }, () => client.get('/sensitive-data')));
    await until(async () => (await rows.find('_id', key.id))!.rev > first);
    await Promise.all(Array.from({ length: 20 }, () => client.get('/sensitive-data')));
    const row = (await rows.find('_id', key.id))!;
    expect([row.rev - first <= 2, row.last_used_at! % MINUTE]).toEqual([true, 0]);
    const { items } = (await administrator.get(`/service-accounts/${id}/keys`)).json as Page<{ last_used_at: string }>;
    expect(items[0]!.last_used_at).toBe(new Date(row.last_used_at!).toISOString());
  });

  it('is not replayed by an Idempotency-Key', async () => {
    const id = await account();
    const ask = (): Promise<Answer> =>
      administrator.send('POST', `/service-accounts/${id}/keys`, { json: {}, headers: { 'idempotency-key': 'one' } });
    const { key } = expectStatus(await ask(), 201) as Key;
    expect((await ask()).text).not.toContain(key);
  });
});

describe('API_KEYS_AS_BEARER=off', () => {
  it('refuses a key that is right elsewhere, and takes the tokens of persons', async () => {
    const strict = await startCoffer({ env: { API_KEYS_AS_BEARER: 'off' } });
    try {
      const { client } = await signUp(strict.client);
      const id = (expectStatus(await client.post('/service-accounts', { name: 'shop', scopes: ALL }), 201) as Key).id;
      const { key } = expectStatus(await client.post(`/service-accounts/${id}/keys`, {}), 201) as Key;
      expectProblem(await strict.client.as(key).get('/sensitive-data'), 401, 'unauthenticated');
      expect((await client.get('/sensitive-data')).status).toBe(200);
    } finally {
      await strict.close();
    }
  });
});

describe('A narrowed scope', () => {
  it('of data types hides the others in lists, and is 403 for them', async () => {
    const scopes = ['sensitive-data:read:note', 'sensitive-data:write'];
    const { client } = await backend(scopes);
    const { id: hidden } = expectStatus(await client.post('/sensitive-data', card), 200) as { id: string };
    const { id: shown } = expectStatus(await client.post('/sensitive-data', note), 200) as { id: string };
    expect((await client.get('/sensitive-data')).json).toEqual([{ id: shown, ...note }]);
    expect((await client.get('/sensitive-data?data_type=card_number')).json).toEqual([]);
    expectProblem(await client.get(`/sensitive-data/${hidden}`), 403, 'insufficient_scope');
    expectProblem(await client.get('/sensitive-data/none'), 404, 'not_found');
    expectStatus(await client.get(`/sensitive-data/${shown}`), 200);
  });

  it('of data types keeps writes within them, also by a change of type', async () => {
    const { client } = await backend(['sensitive-data:write:note', 'sensitive-data:read']);
    expectProblem(await client.post('/sensitive-data', card), 403, 'insufficient_scope');
    const { id } = expectStatus(await client.post('/sensitive-data', note), 200) as { id: string };
    expectProblem(await client.put(`/sensitive-data/${id}`, card), 403, 'insufficient_scope');
    expect((await client.get(`/sensitive-data/${id}`)).json).toMatchObject(note);
    expectProblem(await client.get('/files'), 403, 'insufficient_scope');
    expectStatus(await client.delete(`/sensitive-data/${id}`), 200);
  });

  it('of a prefix hides other files in lists, and is 403 for them by id and by name', async () => {
    const { client } = await backend(['files:read:inv-', 'files:write', 'files:share:inv-']);
    const hidden = await stored(client, 'secret');
    const shown = await stored(client, 'inv-1');
    const names = ((await client.get('/files')).json as Page<{ name: string }>).items.map(({ name }) => name);
    expect(names).toEqual(['inv-1']);
    expect(((await client.get('/files?name=secret')).json as Page<object>).items).toEqual([]);
    for (const path of [
      `/files/${hidden}`,
      `/files/${hidden}/content`,
      '/files/by-name/secret',
      '/files/by-name/absent',
    ]) {
      expectProblem(await client.get(path), 403, 'insufficient_scope');
    }
    expectProblem(await client.get(`/files/${hidden}/key`), 403, 'insufficient_scope');
    expectProblem(await client.post(`/files/${hidden}/verify`), 403, 'insufficient_scope');
    expectProblem(await client.post(`/files/${hidden}/links`, {}), 403, 'insufficient_scope');
    expectProblem(await client.post('/upload-links', {}), 403, 'insufficient_scope');
    expect((await client.get(`/files/${shown}/content`)).text).toBe('inv-1');
    expectStatus(await client.post(`/files/${shown}/links`, {}), 200);
  });

  it('of a prefix keeps writes within it: uploads, renames, tus and removals', async () => {
    const { client } = await backend(['files:write:inv-', 'files:read']);
    const { client: whole, id } = await backend(['files:write']);
    expect(id).toEqual(expect.any(String));
    const outside = await client.send('POST', '/files?name=secret', { body: Buffer.from('x'), headers: OCTETS });
    expectProblem(outside, 403, 'insufficient_scope');
    const own = await stored(client, 'inv-2');
    expectProblem(await client.send('PATCH', `/files/${own}`, { json: { name: 'other' } }), 403, 'insufficient_scope');
    expectStatus(await client.send('PATCH', `/files/${own}`, { json: { name: 'inv-3' } }), 200);
    expect((await created(client, 'secret')).status).toBe(403);
    expect((await created(client, 'inv-4')).status).toBe(201);
    expect((await created(whole, 'secret')).status).toBe(201);
    expectStatus(await client.delete(`/files/${own}`), 204);
  });
});

describe('A key of a person', () => {
  async function personal(scopes: readonly string[]) {
    const { person, client } = await signUp(coffer.client);
    const answer = await client.post('/api-keys', { name: 'script', scopes });
    const key = expectStatus(answer, 201) as Key;
    return { person, client, key, script: coffer.client.as(key.key) };
  }

  it('reaches the data of its person by its scopes, and is listed and revoked', async () => {
    const { client, key, script } = await personal(['sensitive-data:read']);
    const { id } = expectStatus(await client.post('/sensitive-data', note), 200) as { id: string };
    expect((await script.get(`/sensitive-data/${id}`)).json).toMatchObject(note);
    expectProblem(await script.post('/sensitive-data', note), 403, 'insufficient_scope');
    const { items } = expectStatus(await client.get('/api-keys'), 200) as Page<Key>;
    expect(items).toMatchObject([{ id: key.id, name: 'script', scopes: ['sensitive-data:read'] }]);
    expectProblem(await user.delete(`/api-keys/${key.id}`), 404, 'not_found');
    expectStatus(await client.delete(`/api-keys/${key.id}`), 204);
    expectProblem(await script.get(`/sensitive-data/${id}`), 401, 'unauthenticated');
  });

  it('never does what asks for a fresh proof, and reaches no account', async () => {
    const { script } = await personal(ALL);
    const id = await stored(script, 'own');
    expectProblem(await script.post(`/files/${id}/links`, {}), 403, 'insufficient_scope');
    expectProblem(await script.get(`/files/${id}/key`), 403, 'insufficient_scope');
    for (const path of ['/me', '/api-keys', '/subjects', '/service-accounts']) {
      expectProblem(await script.get(path), 403, 'insufficient_scope');
    }
    expectProblem(await script.post('/api-keys', { name: 'x', scopes: ['files:read'] }), 403, 'insufficient_scope');
  });

  it('has no scopes on subjects, and takes no Coffer-Subject', async () => {
    const { client, script } = await personal(['sensitive-data:read']);
    const answer = await client.post('/api-keys', { name: 'x', scopes: ['subjects:create'] });
    expectProblem(answer, 400, 'validation_failed');
    expectProblem(await client.post('/api-keys', { scopes: ['files:read'] }), 400, 'validation_failed');
    const named = await script.send('GET', '/sensitive-data', { headers: { 'coffer-subject': 'a' } });
    expectProblem(named, 400, 'validation_failed');
  });

  it('ends with the account', async () => {
    const { client, script } = await personal(['sensitive-data:read']);
    expectStatus(await client.delete('/me'), 200);
    expectProblem(await script.get('/sensitive-data'), 401, 'unauthenticated');
  });
});

const OCTETS = { 'content-type': 'application/octet-stream' };

async function stored(client: Client, name: string): Promise<string> {
  const answer = await client.send('POST', `/files?name=${name}`, { body: Buffer.from(name), headers: OCTETS });
  return (expectStatus(answer, 201) as { id: string }).id;
}

const created = (client: Client, name: string): Promise<Answer> =>
  client.send('POST', '/uploads', {
    headers: {
      'tus-resumable': '1.0.0',
      'upload-length': '3',
      'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
    },
  });

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
