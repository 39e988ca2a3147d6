import { diedAt } from '../support/died-at';
import { signUp } from '../support/accounts';
import { Client, expectProblem, expectStatus } from '../support/client';
import { type Service, startService } from '../support/service';

jest.setTimeout(120_000);

describe('A service that is killed while something is shared', () => {
  let service: Service;
  let alice: Client;
  let bob: Client;
  let bobsName: string;
  let count = 0;

  beforeAll(async () => {
    service = await startService();
    alice = (await signUp(new Client(service.url))).client;
    const other = await signUp(new Client(service.url));
    [bob, bobsName] = [other.client, other.person.username];
  });
  afterAll(() => service.dispose());

  async function newFile(): Promise<string> {
    return (expectStatus(await alice.upload(`file ${(count += 1)}`, 'content'), 201) as { id: string }).id;
  }

  it('at link.spent has spent one download of the link, and no more', async () => {
    const fileId = await newFile();
    const { url } = expectStatus(await alice.post(`/files/${fileId}/links`, { max_downloads: 2 }), 200) as {
      url: string;
    };
    const open = () => alice.as(undefined).post('/links/open', { token: new URL(url).hash.slice(1) });
    await diedAt(service, 'link.spent', open);
    expectStatus(await open(), 200);
    expectProblem(await open(), 410, 'link_expired');
  });

  it.each(['group.deleting', 'group.grants-removed'])(
    'at %s lets nobody in through the group, and has its name free',
    async (point) => {
      const fileId = await newFile();
      const { id } = expectStatus(await alice.post('/groups', { name: point }), 200) as { id: string };
      expectStatus(await alice.put(`/groups/${id}/members/${bobsName}`, undefined), 204);
      expectStatus(await alice.post(`/files/${fileId}/grants`, { group: id }), 201);
      expectStatus(await bob.get(`/files/${fileId}`), 200);
      await diedAt(service, point, () => alice.delete(`/groups/${id}`));
      expectProblem(await bob.get(`/files/${fileId}`), 404, 'file_not_found');
      expectProblem(await alice.get(`/groups/${id}`), 404, 'not_found');
      expectStatus(await alice.post('/groups', { name: point }), 200);
    },
  );
});
