import { newPerson, register, signUp, login } from '../../test/support/accounts';
import { type Answer, Client, expectProblem, expectStatus, type SendOptions } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { Receipts, verifyReceipt } from '../account-lifecycle';
import { auditBatchesCollection } from '../audit/audit.collection';
import { MINUTE, newId } from '../kernel';
import { OrphanedKeys, userKeysCollection } from '../keys/user-keys';
import { Store } from '../store';
import { subjectsCollection } from '../users';
import { Subjects } from './subjects';

const ALL = ['sensitive-data:read', 'sensitive-data:write', 'files:read', 'files:write', 'files:share'];
const SUBJECTS = ['subjects:create', 'subjects:erase', 'subjects:export'];
const note = { data_type: 'note', value: 'buy milk' };

let coffer: Coffer;
let administrator: Client;
beforeAll(async () => {
  coffer = await startCoffer({});
  ({ client: administrator } = await signUp(coffer.client));
});
afterAll(() => coffer.close());

const subjects = () => coffer.get(Store).collection(subjectsCollection);

async function backend(
  scopes: readonly string[] = [...ALL, ...SUBJECTS],
): Promise<{ id: string; key: string; client: Client }> {
  const made = await administrator.post('/service-accounts', { name: 'shop', scopes });
  const { id } = expectStatus(made, 201) as { id: string };
  const { key } = expectStatus(await administrator.post(`/service-accounts/${id}/keys`, {}), 201) as { key: string };
  return { id, key, client: coffer.client.as(key) };
}

/** A client that names a subject in each request. */
const forSubject = (client: Client, externalId: string) => {
  const named = (options: SendOptions = {}): SendOptions => ({
    ...options,
    headers: { ...options.headers, 'coffer-subject': encodeURIComponent(externalId) },
  });
  return {
    get: (path: string): Promise<Answer> => client.get(path, named()),
    post: (path: string, json: object): Promise<Answer> => client.post(path, json, named()),
    put: (path: string, json: object): Promise<Answer> => client.put(path, json, named()),
    delete: (path: string): Promise<Answer> => client.delete(path, named()),
    send: (method: string, path: string, options: SendOptions): Promise<Answer> =>
      client.send(method, path, named(options)),
  };
};

const upload = (client: ReturnType<typeof forSubject>, name: string): Promise<Answer> =>
  client.send('POST', `/files?name=${name}`, {
    body: Buffer.from(`content of ${name}`),
    headers: { 'content-type': 'application/octet-stream' },
  });

const externalIds = (answer: Answer): string[] =>
  (expectStatus(answer, 200) as { items: { external_id: string }[] }).items.map(({ external_id }) => external_id);

describe('A subject', () => {
  it('is not made by reads, which find nothing', async () => {
    const { id, client } = await backend();
    const nobody = forSubject(client, 'nobody');
    for (const path of ['/sensitive-data', '/sensitive-data?data_type=note']) {
      expect((await nobody.get(path)).json).toEqual([]);
    }
    for (const path of [
      '/files',
      '/files?name=a',
      '/files?prefix=a',
      '/files?trash=true',
      '/groups',
      '/upload-links',
    ]) {
      expect((await nobody.get(path)).json).toMatchObject({ items: [] });
    }
    for (const path of ['/sensitive-data/x', '/files/x', '/files/x/content', '/files/by-name/x', '/files/x/links']) {
      expect((await nobody.get(path)).status).toBe(404);
    }
    expect((await nobody.put('/sensitive-data/x', note)).status).toBe(404);
    expect((await nobody.delete('/sensitive-data/x')).status).toBe(404);
    expect((await nobody.post('/files/x/links', {})).status).toBe(404);
    expect(await subjects().count('account', [id])).toBe(0);
  });

  it('is made at the first write, with a key of its own and its external id sealed', async () => {
    const { id, client } = await backend();
    const ada = forSubject(client, 'Ada Lovelace/ä');
    const record = expectStatus(await ada.post('/sensitive-data', note), 200) as { id: string };
    expect((await ada.get(`/sensitive-data/${record.id}`)).json).toMatchObject(note);
    const { items } = await subjects().list('account', [id, 'active'], { limit: 2 });
    expect(items.length).toBe(1);
    expect(JSON.stringify(items)).not.toMatch(/Ada|Lovelace/);
    const key = await coffer.get(Store).collection(userKeysCollection).find('_id', items[0]!._id);
    expect(key?.state).toBe('active');
    expect(externalIds(await client.get('/subjects'))).toEqual(['Ada Lovelace/ä']);
  });

  it('made by fifty parallel first writes is one subject with one key', async () => {
    const { id, client } = await backend();
    const crowd = forSubject(client, 'crowd');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => crowd.post('/sensitive-data', { ...note, value: `${at}` })),
    );
    for (const answer of answers) expectStatus(answer, 200);
    expect(await subjects().count('account', [id])).toBe(1);
    expect((await crowd.get('/sensitive-data')).json.length).toBe(50);
  });

  it('whose first writer died before it had a key is finished by the next write, and until then absent', async () => {
    const { id, client } = await backend();
    const index = coffer.get(Subjects).indexOf(id, 'ada');
    const pending = { _id: newId(), account_id: id, external_index: index, state: 'pending', created_at: 1 } as const;
    await subjects().insert(pending);
    const ada = forSubject(client, 'ada');
    expect((await ada.get('/sensitive-data')).json).toEqual([]);
    expect(externalIds(await client.get('/subjects'))).toEqual([]);
    expectProblem(await client.delete('/subjects/ada'), 404, 'not_found');
    expectStatus(await ada.post('/sensitive-data', note), 200);
    expect((await subjects().find('_id', pending._id))?.state).toBe('active');
  });

  it('sees its own data alone', async () => {
    const [shop, other] = [await backend(), await backend()];
    const ada = forSubject(shop.client, 'ada');
    const { id } = expectStatus(await ada.post('/sensitive-data', note), 200) as { id: string };
    const file = expectStatus(await upload(ada, 'passport'), 201) as { id: string };
    const { client: user } = await signUp(coffer.client);
    const strangers = [forSubject(shop.client, 'eve'), forSubject(other.client, 'ada')];
    for (const stranger of [...strangers, shop.client, other.client, user, administrator]) {
      expect((await stranger.get(`/sensitive-data/${id}`)).status).toBe(404);
      expect((await stranger.get(`/files/${file.id}/content`)).status).toBe(404);
      expect((await stranger.delete(`/sensitive-data/${id}`)).status).toBe(404);
    }
    expect((await ada.get(`/files/${file.id}/content`)).text).toBe('content of passport');
  });

  it('needs subjects:create, and only to be made', async () => {
    const { id, client } = await backend(ALL);
    const ada = forSubject(client, 'ada');
    expectProblem(await ada.post('/sensitive-data', note), 403, 'insufficient_scope');
    expectProblem(await upload(ada, 'a'), 403, 'insufficient_scope');
    expect((await ada.get('/sensitive-data')).json).toEqual([]);
    expect(await subjects().count('account', [id])).toBe(0);
    expectProblem(await client.get('/subjects'), 403, 'insufficient_scope');
  });

  it('reaches no route of persons, administrators, or its backend', async () => {
    const { client } = await backend();
    const ada = forSubject(client, 'ada');
    await ada.post('/sensitive-data', note);
    for (const path of ['/me', '/keys', '/sessions', '/service-accounts', '/subjects', '/subjects/ada/export']) {
      expectProblem(await ada.get(path), 403, 'insufficient_scope');
    }
    expectProblem(await ada.delete('/me'), 403, 'insufficient_scope');
    expectProblem(await ada.delete('/subjects/ada'), 403, 'insufficient_scope');
  });

  it('grants files to people and gives out links, which end with it', async () => {
    const { client } = await backend();
    const ada = forSubject(client, 'ada');
    const { id } = expectStatus(await upload(ada, 'shared'), 201) as { id: string };
    const reader = await register(coffer.client, newPerson('reader'));
    const grantee = coffer.client.as((await login(coffer.client, reader)).access_token);
    expectStatus(await ada.post(`/files/${id}/grants`, { username: reader.username }), 201);
    expect((await grantee.get(`/files/${id}/content`)).text).toBe('content of shared');
    expect((await grantee.get('/grants/received')).json.items).toMatchObject([{ file_id: id, owner: 'shop' }]);
    const { url } = expectStatus(await ada.post(`/files/${id}/links`, {}), 200) as { url: string };
    const token = url.split('#')[1];
    expectStatus(await coffer.client.as(undefined).post('/links/open', { token }), 200);
    expectStatus(await client.delete('/subjects/ada'), 200);
    expect((await coffer.client.as(undefined).post('/links/open', { token })).status).toBe(404);
    expect((await grantee.get(`/files/${id}/content`)).status).toBe(404);
    expect((await grantee.get('/grants/received')).json.items).toEqual([]);
  });

  it('uploads by tus, in two pieces', async () => {
    const { client } = await backend();
    const ada = forSubject(client, 'ada');
    const tus = { 'tus-resumable': '1.0.0' };
    const created = await ada.send('POST', '/uploads', {
      headers: { ...tus, 'upload-length': '6', 'upload-metadata': `filename ${Buffer.from('tus').toString('base64')}` },
    });
    expect(created.status).toBe(201);
    const path = new URL(created.headers['location']!, 'http://x').pathname;
    const piece = (offset: number, body: string): Promise<Answer> =>
      ada.send('PATCH', path, {
        headers: { ...tus, 'upload-offset': `${offset}`, 'content-type': 'application/offset+octet-stream' },
        body,
      });
    expect((await piece(0, 'abc')).status).toBe(204);
    expect((await forSubject(client, 'eve').send('HEAD', path, { headers: tus })).status).toBe(404);
    expect((await piece(3, 'def')).status).toBe(204);
    expect((await ada.get('/files/by-name/tus/content')).text).toBe('abcdef');
  });

  it('is named in the audit log with the service account that acted', async () => {
    const { id, client } = await backend();
    const ada = forSubject(client, 'ada');
    await ada.post('/sensitive-data', note);
    const [subject] = (await subjects().list('account', [id, 'active'], { limit: 1 })).items;
    await until(async () =>
      (await entries()).some(
        ({ action, phase, act }) => action === 'record.create' && phase === 'outcome' && act === id,
      ),
    );
    const own = (await entries()).filter(({ act }) => act === id);
    expect(new Set(own.map(({ action }) => action))).toEqual(new Set(['subject.create', 'record.create']));
    expect(new Set(own.map(({ actor }) => actor))).toEqual(new Set([subject!._id]));
    expect(JSON.stringify(own)).not.toContain('"ada"');
  });

  it('keeps its data through a rotation of its key, and its key through the sweep of keys without an owner', async () => {
    const { id, client } = await backend();
    const ada = forSubject(client, 'ada');
    const record = expectStatus(await ada.post('/sensitive-data', note), 200) as { id: string };
    const [row] = (await subjects().list('account', [id, 'active'], { limit: 1 })).items;
    expectStatus(await administrator.post(`/users/${row!._id}/rotate-key`, {}), 200);
    coffer.clock.offset += 30 * MINUTE;
    expect(await coffer.get(OrphanedKeys).sweep(() => Promise.resolve(false))).toBe(0);
    coffer.clock.offset -= 30 * MINUTE;
    expect((await ada.get(`/sensitive-data/${record.id}`)).json).toMatchObject(note);
    expect(externalIds(await client.get('/subjects'))).toEqual(['ada']);
  });
});

describe('Coffer-Subject', () => {
  const read = (key: string, headers: Readonly<Record<string, string>>): Promise<Answer> =>
    coffer.client.as(key).get('/sensitive-data', { headers });

  it.each([
    ['empty', ''],
    ['of 256 bytes', 'a'.repeat(256)],
    ['of 256 bytes once decoded', '%C3%A4'.repeat(128)],
    ['of bad UTF-8', '%ff'],
    ['of bad percent-encoding', '%zz'],
    ['of a surrogate', '%ED%A0%80'],
  ])('%s is 400', async (_what, value) => {
    const { key } = await backend();
    expectProblem(await read(key, { 'coffer-subject': value }), 400, 'validation_failed');
  });

  it('of 255 bytes is one', async () => {
    const { client } = await backend();
    const id = `${'ä'.repeat(127)}b`;
    expectStatus(await forSubject(client, id).post('/sensitive-data', note), 200);
    expect(externalIds(await client.get('/subjects'))).toEqual([id]);
  });

  it('sent twice is 400', async () => {
    const { key } = await backend();
    const response = await fetch(`${coffer.client.target()}/sensitive-data`, {
      headers: [
        ['authorization', `Bearer ${key}`],
        ['coffer-subject', 'a'],
        ['coffer-subject', 'b'],
      ],
    });
    // fetch joins the two, as a proxy may: one value, which is a subject of that name.
    expect(response.status).toBe(200);
    const { status } = await twice(key);
    expect(status).toBe(400);
  });

  it('beside the token of a session is 400, and beside a bad key 401', async () => {
    const { client } = await signUp(coffer.client);
    expectProblem(
      await client.get('/sensitive-data', { headers: { 'coffer-subject': 'a' } }),
      400,
      'validation_failed',
    );
    expectProblem(await read('cfk_bad', { 'coffer-subject': '' }), 401, 'unauthenticated');
    expectProblem(await read('bad', { 'coffer-subject': '' }), 401, 'unauthenticated');
  });
});

describe('GET /subjects', () => {
  it('gives pages, whose cursors are good for one account', async () => {
    const [shop, other] = [await backend(), await backend()];
    for (const name of ['a', 'b', 'c']) await forSubject(shop.client, name).post('/sensitive-data', note);
    const first = await shop.client.get('/subjects?limit=2');
    expect(externalIds(first)).toEqual(['a', 'b']);
    const cursor = encodeURIComponent(first.json.next_cursor as string);
    expect(externalIds(await shop.client.get(`/subjects?limit=2&cursor=${cursor}`))).toEqual(['c']);
    expectProblem(await other.client.get(`/subjects?limit=2&cursor=${cursor}`), 400, 'invalid_cursor');
    expectProblem(await administrator.get('/subjects'), 403, 'insufficient_scope');
  });
});

describe('GET /subjects/{external_id}/export', () => {
  it('has all records and files of the subject', async () => {
    const { client } = await backend();
    const ada = forSubject(client, 'ada b/c');
    const record = expectStatus(await ada.post('/sensitive-data', note), 200) as object;
    const file = expectStatus(await upload(ada, 'passport'), 201) as object;
    const answer = await client.get(`/subjects/${encodeURIComponent('ada b/c')}/export`);
    expect(expectStatus(answer, 200)).toEqual({
      subject: 'ada b/c',
      generated_at: expect.any(String),
      records: [record],
      files: [file],
    });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  it('is 404 for a subject of another account, and for none', async () => {
    const [shop, other] = [await backend(), await backend()];
    await forSubject(shop.client, 'ada').post('/sensitive-data', note);
    expectProblem(await other.client.get('/subjects/ada/export'), 404, 'not_found');
    expectProblem(await shop.client.get('/subjects/bob/export'), 404, 'not_found');
    const { client: narrow } = await backend([...ALL, 'subjects:create']);
    expectProblem(await narrow.get('/subjects/ada/export'), 403, 'insufficient_scope');
  });
});

describe('DELETE /subjects/{external_id}', () => {
  it('erases all with a signed receipt, and a later write makes another subject', async () => {
    const { id, client } = await backend();
    const ada = forSubject(client, 'ada');
    const record = expectStatus(await ada.post('/sensitive-data', note), 200) as { id: string };
    await upload(ada, 'passport');
    const [row] = (await subjects().list('account', [id, 'active'], { limit: 1 })).items;
    const answer = expectStatus(await client.delete('/subjects/ada'), 200) as { receipt: object; signature: string };
    expect(verifyReceipt(answer.signature, coffer.get(Receipts).publicKey())).toEqual(answer.receipt);
    expect(answer.receipt).toMatchObject({
      account_id: row!._id,
      requested_by: 'service-account',
      counts: 'exact',
      erased: { 'sensitive-data': 1, files: 1, subjects: 1 },
    });
    expect(await subjects().count('account', [id])).toBe(0);
    expect((await ada.get('/sensitive-data')).json).toEqual([]);
    expectProblem(await client.delete('/subjects/ada'), 404, 'not_found');
    expectStatus(await ada.post('/sensitive-data', note), 200);
    expectProblem(await ada.get(`/sensitive-data/${record.id}`), 404, 'not_found');
  });

  it('is for its own backend with subjects:erase', async () => {
    const [shop, other] = [await backend(), await backend()];
    await forSubject(shop.client, 'ada').post('/sensitive-data', note);
    expectProblem(await other.client.delete('/subjects/ada'), 404, 'not_found');
    expectProblem(await administrator.delete('/subjects/ada'), 403, 'insufficient_scope');
    const { client: narrow } = await backend([...ALL, 'subjects:create']);
    expectProblem(await narrow.delete('/subjects/ada'), 403, 'insufficient_scope');
  });

  it('of two at once both give a receipt, or the later one finds nothing', async () => {
    const { client } = await backend();
    await forSubject(client, 'ada').post('/sensitive-data', note);
    const answers = await Promise.all([client.delete('/subjects/ada'), client.delete('/subjects/ada')]);
    expect(answers.map(({ status }) => status).sort()[0]).toBe(200);
    for (const { status } of answers) expect([200, 404]).toContain(status);
  });

  it('comes before that of its service account', async () => {
    const { id, client } = await backend();
    await client.post('/sensitive-data', note);
    await forSubject(client, 'ada').post('/sensitive-data', note);
    expectProblem(await administrator.delete(`/service-accounts/${id}`), 409, 'conflict');
    expect((await client.get('/sensitive-data')).json.length).toBe(1);
    await forSubject(client, 'bob').post('/sensitive-data', note);
    for (const name of ['ada', 'bob']) expectStatus(await client.delete(`/subjects/${name}`), 200);
    expectStatus(await administrator.delete(`/service-accounts/${id}`), 204);
    expectProblem(await client.get('/sensitive-data'), 401, 'unauthenticated');
  });

  it('of an account that writes for new subjects meanwhile leaves none without its account', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id, client } = await backend();
      const writes = Array.from({ length: 4 }, (_, at) => forSubject(client, `${at}`).post('/sensitive-data', note));
      const [removal] = await Promise.all([administrator.delete(`/service-accounts/${id}`), ...writes]);
      const left = await subjects().count('account', [id, 'active']);
      expect([removal.status, left > 0]).toEqual(left > 0 ? [409, true] : [204, false]);
    }
  });
});

async function twice(key: string): Promise<Answer> {
  const { request } = await import('undici');
  const { statusCode, body } = await request(`${coffer.client.target()}/sensitive-data`, {
    headers: ['authorization', `Bearer ${key}`, 'coffer-subject', 'a', 'coffer-subject', 'b'],
  });
  const text = await body.text();
  return { status: statusCode, headers: {}, bytes: Buffer.from(text), text, json: JSON.parse(text) as unknown };
}

interface Entry {
  readonly action: string;
  readonly phase: string;
  readonly actor: string;
  readonly act?: string;
}

async function entries(): Promise<Entry[]> {
  const found: Entry[] = [];
  let after: string | undefined;
  do {
    const options = { limit: 200, ...(after !== undefined && { after }) };
    const page = await coffer.get(Store).collection(auditBatchesCollection).list('time', [], options);
    found.push(...page.items.flatMap(({ entries: text }) => JSON.parse(text) as Entry[]));
    after = page.next;
  } while (after !== undefined);
  return found;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
