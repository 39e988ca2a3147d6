import { createHash } from 'node:crypto';
import { login, newPerson, signUp, type Person } from '../support/accounts';
import { type Answer, type Client, expectProblem, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

describeOnProfiles('Links', (context) => {
  describe('to a file', () => downloads(context));
  describe('into a drop box', () => uploads(context));
});

const CONTENT = sampleBytes(200_000);
const fragment = (url: string): string => new URL(url).hash.slice(1);
/** Where the content behind a client's ticket is. */
const contentOf = ({ token = '' }: Client): string => `/links/content/${token.split('.')[1] ?? 'none'}`;
const digest = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const times = <T>(count: number, work: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => work(at)));
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).sort();

interface Shared {
  readonly fileId: string;
  readonly linkId: string;
  readonly token: string;
}

function downloads(context: ProfileContext): void {
  let alice: Client;
  let bob: Client;
  let count = 0;
  const nobody = (): Client => context.client.as(undefined);

  beforeAll(async () => {
    alice = (await signUp(context.client)).client;
    bob = (await signUp(context.client)).client;
  });

  async function share(limits: object = {}, name = `shared ${(count += 1)}.bin`): Promise<Shared> {
    const file = expectStatus(await alice.upload(name, CONTENT, { contentType: 'video/mp4' }), 201);
    const answer = await alice.post(`/files/${file.id}/links`, limits);
    const link = expectStatus(answer, 200) as { id: string; url: string };
    expect(Object.keys(link).sort()).toEqual(['id', 'url']);
    return { fileId: file.id as string, linkId: link.id, token: fragment(link.url) };
  }

  async function ticketFor(token: string): Promise<string> {
    return expectStatus(await nobody().post('/links/open', { token }), 200).ticket as string;
  }

  it('keep the secret in the fragment, and open for anybody who has it', async () => {
    const { token } = await share({}, 'holiday ü.mp4');
    const opened = await nobody().post('/links/open', { token });
    expect(expectStatus(opened, 200)).toEqual({
      ticket: expect.any(String),
      ticket_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      url: expect.stringMatching(/^http.*\/links\/content\/[0-9a-f-]{36}$/),
      expires_in: 300,
      name: 'holiday ü.mp4',
      size: CONTENT.length,
      content_type: 'video/mp4',
    });
    const { ticket, ticket_id, url } = opened.json as Record<string, string>;
    expect(new URL(url!).pathname).toBe(`/links/content/${ticket_id}`);
    const content = await nobody().as(ticket).get(`/links/content/${ticket_id}`);
    expect(content.bytes.equals(CONTENT)).toBe(true);
    expect(content.headers).toMatchObject({ 'content-type': 'video/mp4', 'x-content-type-options': 'nosniff' });
    expect(content.headers['content-disposition']).toContain("filename*=UTF-8''holiday%20%C3%BC.mp4");
  });

  it('set a cookie that works for the content and for nothing else', async () => {
    const { token } = await share();
    const opened = await nobody().post('/links/open', { token });
    const cookie = opened.headers['set-cookie'] ?? '';
    const path = `/links/content/${opened.json.ticket_id as string}`;
    expect(cookie).toMatch(/^coffer-ticket=[^;]+; Path=[^;]+; Max-Age=3600; HttpOnly; SameSite=Strict$/);
    expect(cookie).toContain(`; Path=${path};`);
    const headers = { cookie: `other=1; ${cookie.split(';')[0]}`, range: 'bytes=1000-1999' };
    const part = await nobody().get(path, { headers });
    expect(part.status).toBe(206);
    expect(part.bytes.equals(CONTENT.subarray(1000, 2000))).toBe(true);
    expectProblem(await nobody().get('/me', { headers }), 401, 'unauthenticated');
  });

  it('are open two at a time in one browser: each URL has its own file, whatever other cookies come along', async () => {
    const [first, second] = [await opened('first'), await opened('second')];
    for (const cookie of [first.cookie, `${second.cookie}; ${first.cookie}`, `${first.cookie}; ${second.cookie}`]) {
      expect((await nobody().get(first.path, { headers: { cookie } })).text).toBe('first');
    }
    expectProblem(await nobody().get(first.path, { headers: { cookie: second.cookie } }), 401, 'unauthenticated');
    expectProblem(await nobody().as(second.ticket).get(first.path), 401, 'unauthenticated');
  });

  async function opened(content: string): Promise<{ path: string; ticket: string; cookie: string }> {
    const { id } = expectStatus(await alice.upload(`${content} ${(count += 1)}`, content), 201) as { id: string };
    const { url } = expectStatus(await alice.post(`/files/${id}/links`, {}), 200) as { url: string };
    const answer = await nobody().post('/links/open', { token: fragment(url) });
    const { ticket } = expectStatus(answer, 200) as { ticket: string };
    const [cookie = '', path = ''] = (answer.headers['set-cookie'] ?? '').split('; ');
    return { path: path.slice('Path='.length), ticket, cookie };
  }

  it('answer HEAD, conditions and ranges as any content', async () => {
    const holder = nobody().as(await ticketFor((await share()).token));
    const head = await holder.head(contentOf(holder));
    expect(head.headers['content-length']).toBe(String(CONTENT.length));
    const etag = head.headers['etag']!;
    expect((await holder.get(contentOf(holder), { headers: { 'if-none-match': etag } })).status).toBe(304);
    const end = await holder.get(contentOf(holder), { headers: { range: 'bytes=-1' } });
    expect(end.bytes.equals(CONTENT.subarray(-1))).toBe(true);
    expectProblem(
      await holder.get(contentOf(holder), { headers: { range: 'bytes=900000-' } }),
      416,
      'range_not_satisfiable',
    );
  });

  it('are listed without their secrets, with how often they were opened', async () => {
    const { fileId, linkId, token } = await share({ expires_in: 3600, max_downloads: 5, password: 'open sesame' });
    await nobody().post('/links/open', { token, password: 'open sesame' });
    const page = expectStatus(await alice.get(`/files/${fileId}/links`), 200);
    expect(page).toEqual({
      items: [
        {
          id: linkId,
          created_at: expect.any(String),
          expires_at: expect.any(String),
          has_password: true,
          downloads: 1,
          max_downloads: 5,
        },
      ],
      next_cursor: null,
    });
  });

  it.each([
    [
      'the secret of another link',
      async () => `${(await share()).token.slice(0, 39)}${(await share()).token.slice(39)}`,
    ],
    ['a secret with one bit changed', async () => flipped((await share()).token)],
    ['a token without the secret', async () => (await share()).token.slice(0, 38)],
    ['nothing', () => Promise.resolve('')],
    ['something else', () => Promise.resolve('d.../../etc/passwd')],
    ['the token as a drop box would have it', async () => (await share()).token.replace(/^d/, 'u')],
  ])('do not open for %s', async (_what, made) => {
    expectProblem(await nobody().post('/links/open', { token: await made() }), 404, 'not_found');
  });

  it('give one hundred who open at the same time as many tickets as were left', async () => {
    const { token } = await share({ max_downloads: 10 });
    const answers = await times(100, () => nobody().post('/links/open', { token }));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    for (const answer of answers.filter(({ status }) => status !== 200)) expectProblem(answer, 410, 'link_expired');
  });

  it('let those who were counted go on when the count is used up', async () => {
    const { token } = await share({ max_downloads: 1 });
    const holder = nobody().as(await ticketFor(token));
    expectProblem(await nobody().post('/links/open', { token }), 410, 'link_expired');
    for (let round = 0; round < 3; round += 1) expect((await holder.get(contentOf(holder))).status).toBe(200);
  });

  it('end at once when their owner ends them, what they gave included', async () => {
    const { fileId, linkId, token } = await share();
    const holder = nobody().as(await ticketFor(token));
    expectStatus(await alice.delete(`/files/${fileId}/links/${linkId}`), 204);
    for (let round = 0; round < 4; round += 1) {
      expectProblem(await holder.get(contentOf(holder)), 410, 'link_expired');
      expectProblem(await nobody().post('/links/open', { token }), 404, 'not_found');
    }
    expectProblem(await alice.delete(`/files/${fileId}/links/${linkId}`), 404, 'not_found');
  });

  it('show the file as it is now', async () => {
    const { fileId, token } = await share();
    const holder = nobody().as(await ticketFor(token));
    const headers = { 'content-type': 'application/octet-stream', 'if-match': '*' };
    expectStatus(await alice.send('PUT', `/files/${fileId}/content`, { headers, body: 'newer' }), 200);
    expect((await holder.get(contentOf(holder))).text).toBe('newer');
    expect(expectStatus(await nobody().post('/links/open', { token }), 200).size).toBe(5);
  });

  it('end with their file', async () => {
    const { fileId, token } = await share();
    const holder = nobody().as(await ticketFor(token));
    expectStatus(await alice.delete(`/files/${fileId}`), 204);
    expect((await holder.get(contentOf(holder))).status).toBeGreaterThanOrEqual(400);
    expectProblem(await nobody().post('/links/open', { token }), 404, 'not_found');
  });

  it('ask for their password, and count wrong ones but not missing ones', async () => {
    const { token } = await share({ password: 'open sesame' });
    for (let round = 0; round < 6; round += 1) {
      expectProblem(await nobody().post('/links/open', { token }), 401, 'login_failed');
    }
    for (let round = 0; round < 4; round += 1) {
      expectProblem(await nobody().post('/links/open', { token, password: 'Open sesame' }), 401, 'login_failed');
    }
    expectStatus(await nobody().post('/links/open', { token, password: 'open sesame' }), 200);
  });

  it('close after five wrong passwords, however many are sent at the same time', async () => {
    const { token } = await share({ password: 'open sesame' });
    const answers = await times(20, () => nobody().post('/links/open', { token, password: 'guess' }));
    expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(5);
    await times(5, () => nobody().post('/links/open', { token, password: 'guess' }));
    const right = await nobody().post('/links/open', { token, password: 'open sesame' });
    expectProblem(right, 429, 'too_many_attempts');
    expect(Number(right.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('spend nothing on a wrong password', async () => {
    const { fileId, token } = await share({ password: 'open sesame', max_downloads: 1 });
    expectProblem(await nobody().post('/links/open', { token, password: 'no' }), 401, 'login_failed');
    expect(expectStatus(await alice.get(`/files/${fileId}/links`), 200).items[0].downloads).toBe(0);
    expectStatus(await nobody().post('/links/open', { token, password: 'open sesame' }), 200);
  });

  it.each([
    ['no ticket', undefined, 'unauthenticated'],
    ['a word', 'abc', 'unauthenticated'],
    ['a ticket that we never gave', `dt.${'0'.repeat(36)}.${'A'.repeat(43)}`, 'unauthenticated'],
  ])('show no content for %s', async (_what, ticket, code) => {
    expectProblem(
      await nobody()
        .as(ticket)
        .get(contentOf(nobody().as(ticket))),
      401,
      code,
    );
  });

  it('show no content for the link in place of a ticket, nor for an access token', async () => {
    const { token } = await share();
    const path = contentOf(nobody().as(await ticketFor(token)));
    expectProblem(await nobody().as(token).get(path), 401, 'unauthenticated');
    expectProblem(await alice.get(path), 401, 'unauthenticated');
    expectProblem(await nobody().get('/links/content'), 404, 'not_found');
  });

  it('give tickets that are good for nothing but the content', async () => {
    const { fileId, token } = await share();
    const holder = nobody().as(await ticketFor(token));
    for (const path of [`/files/${fileId}`, `/files/${fileId}/content`, '/files', '/me']) {
      expectProblem(await holder.get(path), 401, 'unauthenticated');
    }
    expectProblem(await holder.uploadRaw('x', 'x'), 401, 'unauthenticated');
  });

  it('are made, seen and ended by the owner alone', async () => {
    const { fileId, linkId } = await share();
    expectProblem(await bob.post(`/files/${fileId}/links`, {}), 404, 'file_not_found');
    expectProblem(await bob.get(`/files/${fileId}/links`), 404, 'file_not_found');
    expectProblem(await bob.delete(`/files/${fileId}/links/${linkId}`), 404, 'file_not_found');
    const other = await share();
    expectProblem(await alice.delete(`/files/${other.fileId}/links/${linkId}`), 404, 'not_found');
  });

  it.each([
    [{ expires_in: 0 }],
    [{ expires_in: '60' }],
    [{ max_downloads: 0 }],
    [{ max_downloads: 1.5 }],
    [{ password: '' }],
    [{ max_uploads: 1 }],
    [{ secret: 'mine' }],
  ])('are not made of %j', async (body) => {
    const file = expectStatus(await alice.upload(`refused ${(count += 1)}`, 'x'), 201);
    expectProblem(await alice.post(`/files/${file.id}/links`, body), 400, 'validation_failed');
  });

  it('leave their secrets and passwords in no log', async () => {
    const { token } = await share({ password: 'a marker word 77fe' });
    const { ticket } = expectStatus(
      await nobody().post('/links/open', { token, password: 'a marker word 77fe' }),
      200,
    ) as { ticket: string };
    const holder = nobody().as(ticket);
    expectStatus(await holder.head(contentOf(holder)), 200);
    for (const secret of [token.slice(39), ticket.slice(40), 'a marker word 77fe']) {
      expect(context.logs().includes(secret)).toBe(false);
    }
  });

  it('end with the account of their owner', async () => {
    const owner = (await signUp(context.client)).client;
    const file = expectStatus(await owner.upload('of an account that goes', 'x'), 201);
    const { url } = expectStatus(await owner.post(`/files/${file.id}/links`, {}), 200) as { url: string };
    expectStatus(await owner.delete('/me'), 200);
    expectProblem(await nobody().post('/links/open', { token: fragment(url) }), 404, 'not_found');
  });
}

function uploads(context: ProfileContext): void {
  let person: Person;
  let alice: Client;
  const nobody = (): Client => context.client.as(undefined);

  beforeAll(async () => {
    person = newPerson();
    alice = (await signUp(context.client, person)).client;
  });

  async function dropBox(limits: object = {}): Promise<{ id: string; token: string }> {
    const { id, url } = expectStatus(await alice.post('/upload-links', limits), 200) as { id: string; url: string };
    return { id, token: fragment(url) };
  }

  async function sender(token: string): Promise<Client> {
    return nobody().as(expectStatus(await nobody().post('/upload-links/open', { token }), 200).ticket as string);
  }

  it('take a file in, and tell the sender its size and SHA-256 alone', async () => {
    const answer = await (await sender((await dropBox()).token)).upload('from outside.txt', 'a letter');
    expect(expectStatus(answer, 201)).toEqual({ size: 8, sha256: digest('a letter') });
    expect(answer.headers['location']).toBeUndefined();
    const [file] = expectStatus(await alice.get('/files', { query: { name: 'from outside.txt' } }), 200).items;
    expect((await alice.get(`/files/${file.id}/content`)).text).toBe('a letter');
  });

  it('never tell that a name is taken: the file is kept without one', async () => {
    expectStatus(await alice.upload('taken.txt', 'mine'), 201);
    const { items: before } = expectStatus(await alice.get('/files'), 200) as { items: unknown[] };
    const answer = await (await sender((await dropBox()).token)).upload('taken.txt', 'theirs');
    expect(expectStatus(answer, 201)).toEqual({ size: 6, sha256: digest('theirs') });
    const { items } = expectStatus(await alice.get('/files'), 200) as { items: { id: string; name: string | null }[] };
    expect(items).toHaveLength(before.length + 1);
    const unnamed = items.find(({ name }) => name === null)!;
    expect((await alice.get(`/files/${unnamed.id}/content`)).text).toBe('theirs');
    expect((await alice.get('/files/by-name/taken.txt/content')).text).toBe('mine');
    expectProblem(await alice.patch(`/files/${unnamed.id}`, { name: 'taken.txt' }), 409, 'file_exists');
    expect(expectStatus(await alice.patch(`/files/${unnamed.id}`, { name: 'given later.txt' }), 200).name).toBe(
      'given later.txt',
    );
    expect((await alice.get('/files/by-name/given%20later.txt/content')).text).toBe('theirs');
  });

  it('take one file for one ticket, whoever is first', async () => {
    const from = await sender((await dropBox()).token);
    const answers = await times(10, (at) => from.uploadRaw(`race ${at}`, 'x'));
    expect(statuses(answers)).toEqual([201, ...Array<number>(9).fill(409)]);
  });

  it('give the ticket back when the upload comes to nothing', async () => {
    const from = await sender((await dropBox({ max_size: 100 })).token);
    expectProblem(await from.uploadRaw('large', Buffer.alloc(101)), 413, 'too_large');
    expectProblem(await from.uploadRaw('wrong', 'x', { sha256: digest('y') }), 422, 'checksum_mismatch');
    expectStatus(await from.uploadRaw('right', Buffer.alloc(100)), 201);
  });

  it('spend their count as they are opened', async () => {
    const { id, token } = await dropBox({ max_uploads: 3 });
    const answers = await times(20, () => nobody().post('/upload-links/open', { token }));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    const { items } = expectStatus(await alice.get('/upload-links'), 200) as { items: { id: string }[] };
    expect(items.find((link) => link.id === id)).toMatchObject({ uploads: 3, max_uploads: 3, max_size: null });
  });

  it('end at once, also for who has a ticket', async () => {
    const { id, token } = await dropBox();
    const from = await sender(token);
    expectStatus(await alice.delete(`/upload-links/${id}`), 204);
    expectProblem(await from.uploadRaw('late', 'x'), 410, 'link_expired');
    expectProblem(await nobody().post('/upload-links/open', { token }), 404, 'not_found');
  });

  it('give tickets that read nothing', async () => {
    const from = await sender((await dropBox()).token);
    for (const path of ['/files', '/me', contentOf(from), '/upload-links']) {
      expectProblem(await from.get(path), 401, 'unauthenticated');
    }
    expectProblem(await from.delete('/files/x'), 401, 'unauthenticated');
  });

  it('belong to their owner alone', async () => {
    const { id, token } = await dropBox();
    const bob = (await signUp(context.client)).client;
    expectProblem(await bob.delete(`/upload-links/${id}`), 404, 'not_found');
    expect(expectStatus(await bob.get('/upload-links'), 200).items).toEqual([]);
    expectStatus(await nobody().post('/upload-links/open', { token }), 200);
  });

  it('are no links to a file, and the other way round', async () => {
    const { id, token } = await dropBox();
    expectProblem(await nobody().post('/links/open', { token }), 404, 'not_found');
    const file = expectStatus(await alice.upload('for a link', 'x'), 201);
    expectProblem(await alice.delete(`/files/${file.id}/links/${id}`), 404, 'not_found');
    const { url } = expectStatus(await alice.post(`/files/${file.id}/links`, {}), 200) as { url: string };
    expectProblem(await nobody().post('/upload-links/open', { token: fragment(url) }), 404, 'not_found');
  });

  it('are not made by a login of long ago', async () => {
    const { access_token } = await login(context.client, person);
    expectStatus(await nobody().as(access_token).post('/upload-links', {}), 200);
  });
}

function flipped(token: string): string {
  const last = token.slice(-2, -1);
  return `${token.slice(0, -2)}${last === 'A' ? 'B' : 'A'}${token.slice(-1)}`;
}
