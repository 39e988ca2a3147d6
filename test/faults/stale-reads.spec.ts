import { StaleKeyVersionError } from '../../src/kernel';
import { Sealer } from '../../src/keys/user-keys';
import { newPerson, signUp } from '../support/accounts';
import { type Answer, Client, expectProblem, expectStatus } from '../support/client';
import { type Coffer, startCoffer } from '../support/coffer';

let coffer: Coffer;
let client: Client;
let friend: Client;
let paths: Record<string, string>;

const ok = (answer: Answer): unknown => {
  expect([200, 201, answer.text]).toContain(answer.status);
  return answer.json as unknown;
};

/** The next opening fails as it does where a rotation dropped a version after the row was read. */
const staleOnce = (): jest.SpyInstance =>
  jest.spyOn(coffer.get(Sealer), 'with').mockRejectedValueOnce(new StaleKeyVersionError());

beforeAll(async () => {
  coffer = await startCoffer();
  ({ client } = await signUp(coffer.client));
  const other = newPerson();
  ({ client: friend } = await signUp(coffer.client, other));
  const record = ok(await client.post('/sensitive-data', { data_type: 'note', value: 'a' })) as Row;
  const file = ok(await client.upload('letter.txt', 'dear')) as Row;
  const group = ok(await client.post('/groups', { name: 'friends' })) as Row;
  ok(await client.post(`/files/${file.id}/grants`, { group: group.id }));
  ok(await client.post(`/files/${file.id}/grants`, { username: other.username }));
  expectStatus(await client.put(`/groups/${group.id}/members/${other.username}`, undefined), 204);
  ok(await client.post('/2fa/totp'));
  paths = {
    'a record': `/sensitive-data/${record.id}`,
    'all records': '/sensitive-data',
    'a file': `/files/${file.id}`,
    'a file by its name': '/files/by-name/letter.txt',
    'all files': '/files',
    'files by prefix': '/files?prefix=let',
    'the file of a name': '/files?name=letter.txt',
    'versions of a file': `/files/${file.id}/versions`,
    'the key of a file': `/files/${file.id}/key`,
    'a content': `/files/${file.id}/content`,
    'a content by name': '/files/by-name/letter.txt/content',
    'a stored message': `/files/${file.id}/content?encrypted=true`,
    'grants of a file': `/files/${file.id}/grants`,
    groups: '/groups',
    'a group': `/groups/${group.id}`,
    sessions: '/sessions',
    'a QR code': '/2fa/totp/qr',
  };
});
afterAll(() => coffer.close());
afterEach(() => jest.restoreAllMocks());

interface Row {
  readonly id: string;
}

describe('A read that meets a row of a key version that is gone', () => {
  it('reads the row again, whatever is read', async () => {
    for (const [what, path] of Object.entries(paths)) {
      const before = await client.get(path);
      const opening = staleOnce();
      const answer = await client.get(path);
      expect([what, answer.status, answer.text]).toEqual([what, 200, before.text]);
      // Refused once, and then opened: twice at least.
      expect([what, opening.mock.calls.length > 1]).toEqual([what, true]);
      opening.mockRestore();
    }
  });

  it('reads a file of somebody else again, and answers HEAD', async () => {
    const before = await friend.get('/files?shared=true');
    staleOnce();
    expect((await friend.get('/files?shared=true')).text).toBe(before.text);
    staleOnce();
    expect((await client.head(paths['a content']!)).status).toBe(200);
  });

  it('reads a file that somebody was granted, and a group that somebody is in, again', async () => {
    for (const path of ['/grants/received', '/memberships']) {
      const before = await friend.get(path);
      expect(before.text).toMatch(/letter\.txt|friends/);
      staleOnce();
      expect((await friend.get(path)).text).toBe(before.text);
    }
  });

  it('reads the content behind a link again', async () => {
    const { url } = ok(await client.post(`${paths['a file']}/links`, {})) as { url: string };
    const token = url.split('#')[1];
    const opened = expectStatus(await coffer.client.post('/links/open', { token }), 200) as Ticket;
    staleOnce();
    const answer = await coffer.client.as(opened.ticket).get(`/links/content/${opened.ticket_id}`);
    expect([answer.status, answer.text]).toEqual([200, 'dear']);
  });

  it('is refused where that goes on: the value is damaged', async () => {
    jest.spyOn(coffer.get(Sealer), 'with').mockRejectedValue(new StaleKeyVersionError());
    expectProblem(await client.get(paths['a record']!), 422, 'decryption_failed');
  });

  it('is not repeated for a request that changes something', async () => {
    const opening = staleOnce();
    expectProblem(await client.patch(paths['a file']!, { name: 'other.txt' }), 422, 'decryption_failed');
    expect(opening).toHaveBeenCalledTimes(1);
  });
});

interface Ticket {
  readonly ticket: string;
  readonly ticket_id: string;
}
