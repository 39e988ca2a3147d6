import { type Person, signUp } from '../../test/support/accounts';
import { type Client, expectProblem, expectStatus } from '../../test/support/client';
import { type Coffer, startCoffer } from '../../test/support/coffer';
import { MINUTE } from '../kernel';

let coffer: Coffer;
beforeAll(async () => {
  coffer = await startCoffer();
});
afterAll(() => coffer.close());

interface Shown {
  readonly id: string;
}

interface Someone {
  readonly person: Person;
  readonly client: Client;
}

const items = (body: unknown): unknown[] => (body as { items: unknown[] }).items;

async function two(): Promise<{ owner: Someone; friend: Someone; file: string; group: string; member: string }> {
  const [owner, friend] = [await signUp(coffer.client), await signUp(coffer.client)];
  const { id: file } = expectStatus(await owner.client.upload('report.txt', 'text'), 201) as Shown;
  const { id: group } = expectStatus(await owner.client.post('/groups', { name: 'Friends' }), 200) as Shown;
  return { owner, friend, file, group, member: `/groups/${group}/members/${friend.person.username}` };
}

describe('Somebody with a stolen access token', () => {
  it('gives nobody access that outlives the session: grants and members of groups ask for a fresh proof', async () => {
    const { owner, friend, file, group, member } = await two();
    coffer.clock.offset += 6 * MINUTE;
    for (const to of [{ username: friend.person.username }, { email: friend.person.email }, { group }]) {
      expectProblem(await owner.client.post(`/files/${file}/grants`, to), 401, 'step_up_required');
    }
    expectProblem(await owner.client.put(member, undefined), 401, 'step_up_required');
    const { access_token } = (await owner.client.post('/step-up', { password: owner.person.password })).json;
    const fresh = owner.client.as(access_token as string);
    expectStatus(await fresh.put(member, undefined), 204);
    expectStatus(await fresh.post(`/files/${file}/grants`, { group }), 201);
    expectStatus(await friend.client.get(`/files/${file}`), 200);
    coffer.clock.offset += 6 * MINUTE;
    expectStatus(await fresh.delete(member), 204);
    expectProblem(await friend.client.get(`/files/${file}`), 404, 'file_not_found');
  });
});

describe('GET and DELETE /memberships', () => {
  it('show a member the group and its owner, page by page, and let the member leave', async () => {
    const { owner, friend, group, member } = await two();
    const { id: second } = expectStatus(await owner.client.post('/groups', { name: 'Others' }), 200) as Shown;
    expectStatus(await owner.client.put(member, undefined), 204);
    expectStatus(await owner.client.put(member.replace(group, second), undefined), 204);
    const shown = (group_id: string, name: string) => ({
      ...{ group_id, name, owner: owner.person.username },
      added_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    const first = (await friend.client.get('/memberships?limit=1')).json;
    expect(first).toEqual({ items: [shown(group, 'Friends')], next_cursor: expect.any(String) });
    const rest = await friend.client.get(`/memberships?limit=1&cursor=${String(first['next_cursor'])}`);
    expect(items(rest.json)).toEqual([shown(second, 'Others')]);
    expectProblem(await owner.client.get(`/memberships?cursor=${String(first['next_cursor'])}`), 400, 'invalid_cursor');
    expectProblem(await owner.client.delete(`/memberships/${group}`), 404, 'not_found');
    expectStatus(await friend.client.delete(`/memberships/${group}`), 204);
    expectProblem(await friend.client.delete(`/memberships/${group}`), 404, 'not_found');
    expect(items((await friend.client.get('/memberships')).json)).toEqual([shown(second, 'Others')]);
    const { members } = expectStatus(await owner.client.get(`/groups/${group}`), 200) as { members: unknown[] };
    expect(members).toEqual([]);
  });
});

describe('GET and DELETE /grants/received', () => {
  it('show a grantee the file and its owner, and let the grantee decline', async () => {
    const { owner, friend, file } = await two();
    const to = { username: friend.person.username, expires_in: 3600 };
    const made = expectStatus(await owner.client.post(`/files/${file}/grants`, to), 201) as Shown & Person;
    const { expires_at } = made as unknown as { expires_at: string };
    expect((await friend.client.get('/grants/received')).json).toEqual({
      items: [{ id: made.id, file_id: file, name: 'report.txt', owner: owner.person.username, expires_at }],
      next_cursor: null,
    });
    expect(items((await owner.client.get('/grants/received')).json)).toEqual([]);
    expectProblem(await owner.client.delete(`/grants/received/${made.id}`), 404, 'not_found');
    expectStatus(await friend.client.delete(`/grants/received/${made.id}`), 204);
    expectProblem(await friend.client.delete(`/grants/received/${made.id}`), 404, 'not_found');
    expectProblem(await friend.client.get(`/files/${file}`), 404, 'file_not_found');
    expect(items((await owner.client.get(`/files/${file}/grants`)).json)).toEqual([]);
  });

  it('tell nothing of a file that was deleted', async () => {
    const { owner, friend, file } = await two();
    expectStatus(await owner.client.post(`/files/${file}/grants`, { username: friend.person.username }), 201);
    expectStatus(await owner.client.delete(`/files/${file}`), 204);
    expect(items((await friend.client.get('/grants/received')).json)).toEqual([]);
  });
});
