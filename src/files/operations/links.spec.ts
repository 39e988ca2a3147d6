import { signUp } from '../../../test/support/accounts';
import { type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { waitFor } from '../../../test/support/processes';
import { DAY, MINUTE, SECOND } from '../../kernel';
import { Links, Tickets } from '../../links';
import { linkCollection } from '../../links/link.collection';
import { ticketCollection } from '../../links/tickets';
import { Store } from '../../store';
import { Users } from '../../users';

let coffer: Coffer;
let alice: Client;
let count = 0;

beforeAll(async () => {
  coffer = await startCoffer({ env: { PUBLIC_URL: 'https://vault.example.org/coffer', DOCS: 'on' } });
});
afterAll(() => coffer.close());
beforeEach(async () => {
  alice = (await signUp(coffer.client)).client;
});
afterEach(() => {
  coffer.clock.offset = 0;
});

const nobody = (): Client => coffer.client.as(undefined);
const after = (ms: number): void => void (coffer.clock.offset += ms);

async function share(limits: object = {}): Promise<{ fileId: string; linkId: string; token: string; url: string }> {
  const file = expectStatus(await alice.upload(`file ${(count += 1)}`, 'content'), 201) as { id: string };
  const { id, url } = expectStatus(await alice.post(`/files/${file.id}/links`, limits), 200) as Record<string, string>;
  return { fileId: file.id, linkId: id!, url: url!, token: new URL(url!).hash.slice(1) };
}

const contentFor = (ticket: string, method = 'GET') =>
  nobody()
    .as(ticket)
    .send(method, `/links/content/${ticket.split('.')[1]}`);
const open = (token: string) => nobody().post('/links/open', { token });

describe('A link', () => {
  it('stands under PUBLIC_URL, and its cookie is for that path and for https alone', async () => {
    const { url, token } = await share();
    expect(url).toMatch(/^https:\/\/vault\.example\.org\/coffer\/l#d\.[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/);
    expect((await open(token)).headers['set-cookie']).toMatch(
      /; Path=\/coffer\/links\/content\/[0-9a-f-]{36}; .*; Secure$/,
    );
  });

  it('ends at its time, and what it gave ends with it', async () => {
    const { token } = await share({ expires_in: 120 });
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    after(119 * SECOND);
    expectStatus(await open(token), 200);
    after(SECOND);
    expectProblem(await open(token), 410, 'link_expired');
    expectProblem(await contentFor(ticket), 410, 'link_expired');
  });

  it('gives tickets that each use extends by five minutes, to an hour at most', async () => {
    const { token } = await share({ max_downloads: 1 });
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    for (let minutes = 4; minutes < 60; minutes += 4) {
      after(4 * MINUTE);
      expectStatus(await contentFor(ticket, 'HEAD'), 200);
    }
    after(2 * MINUTE);
    expectStatus(await contentFor(ticket, 'HEAD'), 200);
    after(2 * MINUTE);
    expectProblem(await contentFor(ticket), 401, 'token_expired');
  });

  it('gives tickets that last while an answer is sent, and five minutes more', async () => {
    const file = expectStatus(await alice.upload(`long ${(count += 1)}`, Buffer.alloc(32 * 1024 * 1024)), 201);
    const { url } = expectStatus(await alice.post(`/files/${file.id}/links`, {}), 200) as { url: string };
    const { ticket, ticket_id: id } = expectStatus(await open(new URL(url).hash.slice(1)), 200) as Record<
      string,
      string
    >;
    const { body } = await nobody().as(ticket).open('GET', `/links/content/${id}`);
    after(4 * MINUTE);
    const expiry = async () => (await coffer.get(Store).collection(ticketCollection).find('_id', id!))?.expires_at;
    const before = await expiry();
    body.on('error', () => undefined).destroy();
    await waitFor('the ticket to be extended', async () => (await expiry())! > before!);
    after(4 * MINUTE);
    expectStatus(await contentFor(ticket!, 'HEAD'), 200);
  });

  it('keeps a ticket alive at intervals, which a process that dies leaves behind', async () => {
    const { token } = await share();
    const { ticket_id: id } = expectStatus(await open(token), 200) as Record<string, string>;
    const expiry = async () => (await coffer.get(Store).collection(ticketCollection).find('_id', id!))?.expires_at;
    const before = await expiry();
    const release = coffer.get(Tickets).keepAlive(id!, 5);
    after(4 * MINUTE);
    await waitFor('the ticket to be extended', async () => (await expiry())! > before!);
    release();
  });

  it('gives tickets of a former release, which have no time of issue, their hour too', async () => {
    const { token } = await share();
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    const tickets = coffer.get(Store).collection(ticketCollection);
    const { issued_at: _, ...row } = (await tickets.find('_id', ticket.split('.')[1]!))!;
    expect(await tickets.replace(row)).toBeDefined();
    after(4 * MINUTE);
    expectStatus(await contentFor(ticket, 'HEAD'), 200);
    after(4 * MINUTE);
    expectStatus(await contentFor(ticket, 'HEAD'), 200);
  });

  it('gives tickets that last five minutes', async () => {
    const { token } = await share();
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    after(5 * MINUTE);
    expectProblem(await contentFor(ticket), 401, 'token_expired');
  });

  it('ends with its file when that expires', async () => {
    const file = expectStatus(await alice.upload('short', 'x', { fields: { expires_in: '60' } }), 201) as {
      id: string;
    };
    const { url } = expectStatus(await alice.post(`/files/${file.id}/links`, {}), 200) as { url: string };
    after(MINUTE);
    expectProblem(await open(new URL(url).hash.slice(1)), 404, 'file_not_found');
  });

  it('rests while its owner is disabled', async () => {
    const { token, fileId } = await share();
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    const users = coffer.get(Users);
    const links = await coffer.get(Links).list({ resource: fileId }, 1, undefined);
    const ownerId = links.items[0]!.owner_id;
    await users.change(ownerId, (user) => ({ ...user, state: 'disabled' }));
    expectProblem(await open(token), 404, 'not_found');
    expectProblem(await contentFor(ticket), 410, 'link_expired');
    await users.change(ownerId, (user) => ({ ...user, state: 'active' }));
    expectStatus(await contentFor(ticket, 'HEAD'), 200);
    expectStatus(await open(token), 200);
  });

  it('takes the right password again a quarter of an hour after the last wrong one', async () => {
    const { token } = await share({ password: 'open sesame' });
    const tried = (password: string) => nobody().post('/links/open', { token, password });
    for (let round = 0; round < 5; round += 1) expectProblem(await tried('no'), 401, 'login_failed');
    expectProblem(await tried('open sesame'), 429, 'too_many_attempts');
    after(15 * MINUTE);
    expectStatus(await tried('open sesame'), 200);
  });

  it('is made by a fresh login alone', async () => {
    const { fileId } = await share();
    after(6 * MINUTE);
    expectProblem(await alice.post(`/files/${fileId}/links`, {}), 401, 'step_up_required');
    expectProblem(await alice.post('/upload-links', {}), 401, 'step_up_required');
  });

  it('is shown to its owner for a day after its end, and is gone then', async () => {
    const { fileId } = await share({ expires_in: 60 });
    const shown = async () => (await coffer.get(Links).list({ resource: fileId }, 10, undefined)).items.length;
    after(DAY);
    await coffer.get(Links).sweep();
    expect(await shown()).toBe(1);
    after(2 * MINUTE);
    await coffer.get(Links).sweep();
    expect(await shown()).toBe(0);
  });

  it('is kept without its secret and without its password', async () => {
    const { linkId, token } = await share({ password: 'open sesame' });
    const row = await coffer.get(Store).collection(linkCollection).find('_id', linkId);
    expect(JSON.stringify(row)).not.toContain(token.slice(39));
    expect(row).toMatchObject({
      secret_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      hashed_password: expect.stringMatching(/^\$argon2id\$/),
    });
  });
});

describe('A forged row', () => {
  /**
   * Writes as somebody with the database alone: past the row seals, with what another row's seal
   * was.
   */
  const unsealed = { ...linkCollection, authenticated: false };

  it('of a link opens nothing, and counts as absent', async () => {
    const { linkId, token } = await share({ max_downloads: 1 });
    const raw = coffer.get(Store).collection(unsealed);
    const row = (await raw.find('_id', linkId))!;
    expectStatus(await open(token), 200);
    expectProblem(await open(token), 410, 'link_expired');
    await raw.replace({ ...(await raw.find('_id', linkId))!, uses: 0 });
    expectProblem(await open(token), 404, 'not_found');
    expect(row.uses).toBe(0);
  });

  it('of a ticket shows nothing', async () => {
    const { token } = await share();
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    const tickets = coffer.get(Store).collection({ ...ticketCollection, authenticated: false });
    const row = (await tickets.find('_id', ticket.split('.')[1]!))!;
    await tickets.replace({ ...row, expires_at: row.expires_at + DAY });
    expectProblem(await contentFor(ticket), 401, 'unauthenticated');
  });
});

describe('The page of a link', () => {
  it('runs its own script alone, and sends nobody a referrer', async () => {
    const page = await nobody().get('/l');
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': expect.stringMatching(/^default-src 'none';script-src 'self';/),
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    });
    expect(page.text).not.toMatch(/<script(?! src)|onclick|style=/);
  });

  it.each([
    ['/l/', ['/l/link.css', '/l/link.js']],
    ['/docs/', ['/docs/swagger-ui.css', '/docs/start.js']],
  ])('and that of the documentation stand at %s too, and find their files from there', async (path, files) => {
    const page = await nobody().get(path);
    expect(page.status).toBe(200);
    const named = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, file]) => new URL(file!, `http://x${path}`),
    );
    expect(named.map(({ pathname }) => pathname)).toEqual(expect.arrayContaining(files));
    for (const { pathname } of named)
      expect([pathname, (await nobody().get(pathname)).status]).toEqual([pathname, 200]);
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
  });

  const foreign = ['fbclid=a', 'utm_source=b&utm_medium=c', 'x=%E0%A4', '__proto__=1', '&'.repeat(200)];
  it.each(['/', '/l', '/l/', '/l/link.js', '/docs', '/docs/', '/docs/start.js', '/openapi.json'])(
    'and %s pass over parameters that others add',
    async (path) => {
      const { status, bytes } = await nobody().get(path);
      for (const query of foreign) {
        const answer = await nobody().get(`${path}?${query}`);
        expect([query, answer.status, answer.bytes.equals(bytes)]).toEqual([query, status, true]);
      }
    },
  );

  it('and nothing else does: a parameter that is not known is refused', async () => {
    expectProblem(await nobody().get('/livez?fbclid=a'), 400, 'validation_failed');
  });

  it.each(['link.css', 'link.js'])('has %s', async (name) => {
    const { status, bytes } = await nobody().get(`/l/${name}`);
    expect({ status, hasText: bytes.length > 1000 }).toEqual({ status: 200, hasText: true });
  });

  it.each(['link.html', 'links.dto.ts', '..%2f..%2fmain.js', 'constructor'])('has no %s', async (name) => {
    expectProblem(await nobody().get(`/l/${name}`), 404, 'not_found');
  });
});
