import { Upload } from 'tus-js-client';
import { newPerson, signUp } from '../support/accounts';
import { type Answer, Client, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';
import { sampleBytes } from '../support/messages';
import { type PrefixProxy, startPrefixProxy } from '../support/prefix-proxy';

/**
 * A service under a path of its proxy: each address that it gives out is followed as its client
 * would.
 */
const PREFIX = '/vault/coffer';

let proxy: PrefixProxy;
let coffer: Coffer;
let admin: Client;

beforeAll(async () => {
  proxy = await startPrefixProxy(PREFIX);
  coffer = await startCoffer({ env: { PUBLIC_URL: proxy.url, TWO_PERSON: 'true' } });
  proxy.target = coffer.client.target();
  admin = (await signUp(new Client(proxy.url))).client;
});
afterAll(async () => {
  await coffer.close();
  await proxy.close();
});

/** What a browser or a client library makes of an address in an answer of `path`. */
const follow = (address: string, path: string): string => new URL(address, `${proxy.url}${path}`).href;

async function expectFollowed(answer: Answer, path: string): Promise<void> {
  const location = answer.headers['location']!;
  expect(location).toMatch(new RegExp(`^${PREFIX}/`));
  expectStatus(await admin.get(follow(location, path)), 200);
}

describe('with a path in PUBLIC_URL', () => {
  it('every Location leads through the proxy', async () => {
    const uploaded = await admin.upload('placed', 'content');
    await expectFollowed(uploaded, '/files');
    const { person: other } = await signUp(admin);
    const path = `/files/${(uploaded.json as { id: string }).id}/grants`;
    const granted = await admin.post(path, { username: other.username });
    expectStatus(granted, 201);
    expect(granted.headers['location']).toMatch(new RegExp(`^${PREFIX}${path}/`));
    expectStatus(await admin.delete(follow(granted.headers['location']!, path)), 204);
    const invited = await admin.post('/invitations', { email: newPerson().email });
    expectStatus(await admin.delete(follow(invited.headers['location']!, '/invitations')), 204);
    const { person, client } = await signUp(admin);
    const { id } = expectStatus(await client.get('/me'), 200) as { id: string };
    expect(person.username).not.toBe(other.username);
    const waiting = await admin.delete(`/users/${id}`);
    expect(waiting.status).toBe(202);
    await expectFollowed(waiting, `/users/${id}`);
  });

  it('a Location that is given again has it once', async () => {
    const headers = { 'idempotency-key': 'a-grant' };
    const { id } = expectStatus(await admin.upload('granted', 'content'), 201) as { id: string };
    const { person } = await signUp(admin);
    const grant = () => admin.post(`/files/${id}/grants`, { username: person.username }, { headers });
    const [first, again] = [await grant(), await grant()];
    expect(again.headers['location']).toBe(first.headers['location']);
    expect(first.headers['location']).toMatch(new RegExp(`^${PREFIX}/files/${id}/grants/`));
  });

  it('the root leads to the documentation, whose files are there', async () => {
    const root = await admin.get('/');
    expect([root.status, root.headers['location']]).toEqual([302, `${PREFIX}/docs`]);
    const page = await admin.get(follow(root.headers['location']!, '/'));
    const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => follow(file!, '/docs'));
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) expectStatus(await admin.head(file), 200);
  });

  it('the next page, a link, its page and its cookie are below it', async () => {
    for (const value of ['1', '2']) await admin.post('/sensitive-data', { data_type: 'note', value });
    const list = await admin.get('/sensitive-data?limit=1');
    const next = /^<([^>]+)>; rel="next"$/.exec(list.headers['link'] ?? '')?.[1];
    expect(expectStatus(await admin.get(follow(next!, '/sensitive-data')), 200)).toHaveLength(1);
    const { id } = expectStatus(await admin.upload('linked', 'content'), 201) as { id: string };
    const { url } = expectStatus(await admin.post(`/files/${id}/links`, {}), 200) as { url: string };
    expect(url).toMatch(new RegExp(`^${proxy.url}/l#`));
    const page = expectStatusText(await admin.get(url.split('#')[0]!));
    for (const [, file] of page.matchAll(/(?:src|href)="(l\/[^"]+)"/g)) {
      expectStatusText(await admin.get(follow(file!, '/l')));
    }
    const opened = await admin.as(undefined).post('/links/open', { token: new URL(url).hash.slice(1) });
    const { ticket, ticket_id, url: content } = expectStatus(opened, 200) as Record<string, string>;
    expect(content).toBe(`${proxy.url}/links/content/${ticket_id}`);
    expect(opened.headers['set-cookie']).toContain(`; Path=${PREFIX}/links/content/${ticket_id};`);
    expectStatusText(await admin.as(ticket).get(content!));
  });

  it('a mail names the address that its reader can open', async () => {
    const { email } = newPerson();
    expectStatus(await admin.post('/invitations', { email }), 201);
    const mail = (await coffer.mails()).find(({ to }) => to === email);
    expect(mail?.text).toContain(proxy.url);
    expect(mail?.text).not.toContain(coffer.client.target());
  });

  it('tus-js-client uploads in pieces, and finds the file', async () => {
    const content = sampleBytes(300_000);
    let fileId: string | undefined;
    const address = await new Promise<string | null>((resolve, reject) => {
      const upload = new Upload(content, {
        endpoint: `${proxy.url}/uploads`,
        chunkSize: 100_000,
        retryDelays: null,
        headers: { authorization: `Bearer ${admin.token ?? ''}` },
        metadata: { filename: 'through the proxy' },
        onAfterResponse: (_request, response) => void (fileId = response.getHeader('file-id') ?? fileId),
        onError: reject,
        onSuccess: () => resolve(upload.url),
      });
      upload.start();
    });
    expect(address).toBe(`${proxy.url}/uploads/${fileId}`);
    expect((await admin.get(`/files/${fileId}/content`)).bytes.equals(content)).toBe(true);
  });
});

function expectStatusText(answer: Answer): string {
  expect(answer.status).toBe(200);
  return answer.text;
}
