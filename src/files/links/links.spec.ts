import { signUp } from '../../../test/support/accounts';
import { type Client, expectProblem, expectStatus } from '../../../test/support/client';
import { type Coffer, startCoffer } from '../../../test/support/coffer';
import { DAY, MINUTE, SECOND } from '../../kernel';
import { Links } from '../../sharing';
import { linkCollection } from '../../sharing/links/link.collection';
import { ticketCollection } from '../../sharing/links/ticket.collection';
import { Store } from '../../store';
import { Users } from '../../users';

let coffer: Coffer;
let alice: Client;
let count = 0;

beforeAll(async () => {
  coffer = await startCoffer({ env: { PUBLIC_URL: 'https://vault.example.org/coffer' } });
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

const open = (token: string) => nobody().post('/links/open', { token });

describe('A link', () => {
  it('stands under PUBLIC_URL, and its cookie is for that path and for https alone', async () => {
    const { url, token } = await share();
    expect(url).toMatch(/^https:\/\/vault\.example\.org\/coffer\/l#d\.[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}$/);
    expect((await open(token)).headers['set-cookie']).toMatch(/; Path=\/coffer\/links\/content; .*; Secure$/);
  });

  it('ends at its time, and what it gave ends with it', async () => {
    const { token } = await share({ expires_in: 120 });
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    after(119 * SECOND);
    expectStatus(await open(token), 200);
    after(SECOND);
    expectProblem(await open(token), 410, 'link_expired');
    expectProblem(await nobody().as(ticket).get('/links/content'), 410, 'link_expired');
  });

  it('gives tickets that last five minutes', async () => {
    const { token } = await share();
    const { ticket } = expectStatus(await open(token), 200) as { ticket: string };
    after(5 * MINUTE - SECOND);
    expectStatus(await nobody().as(ticket).head('/links/content'), 200);
    after(SECOND);
    expectProblem(await nobody().as(ticket).get('/links/content'), 401, 'token_expired');
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
    expectProblem(await nobody().as(ticket).get('/links/content'), 410, 'link_expired');
    await users.change(ownerId, (user) => ({ ...user, state: 'active' }));
    expectStatus(await nobody().as(ticket).head('/links/content'), 200);
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
  /** Writes as somebody with the database alone: past the row seals, with what another row's seal was. */
  const unsealed = { ...linkCollection, sealed: false };

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
    const tickets = coffer.get(Store).collection({ ...ticketCollection, sealed: false });
    const row = (await tickets.find('_id', ticket.split('.')[1]!))!;
    await tickets.replace({ ...row, expires_at: row.expires_at + DAY });
    expectProblem(await nobody().as(ticket).get('/links/content'), 401, 'unauthenticated');
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

  it.each(['link.css', 'link.js'])('has %s', async (name) => {
    const { status, bytes } = await nobody().get(`/l/${name}`);
    expect({ status, hasText: bytes.length > 1000 }).toEqual({ status: 200, hasText: true });
  });

  it.each(['link.html', 'links.dto.ts', '..%2f..%2fmain.js', 'constructor'])('has no %s', async (name) => {
    expectProblem(await nobody().get(`/l/${name}`), 404, 'not_found');
  });
});
