import { type Person, signUp } from '../support/accounts';
import { type Client, expectProblem, expectStatus } from '../support/client';
import { waitFor } from '../support/processes';
import { describeOnProfiles, type ProfileContext } from '../support/profiles';

interface Owner {
  readonly person: Person;
  readonly client: Client;
  readonly id: string;
  /** Content by the path that it is read at. */
  readonly contents: ReadonlyMap<string, string>;
}

interface UserKey {
  readonly current: number;
  readonly versions: readonly { readonly version: number }[];
}

describeOnProfiles('A rotation of a user key', (context) => rotations(context), { kv: true, longOn: ['kv'] });

function rotations(context: ProfileContext): void {
  const owner = async (): Promise<Owner> => {
    const { person, client } = await signUp(context.client);
    const { id } = expectStatus(await client.get('/me'), 200) as { id: string };
    const contents = new Map<string, string>();
    for (let at = 0; at < 3; at += 1) {
      const record = await client.post('/sensitive-data', { data_type: 'note', value: `value ${at}` });
      contents.set(`/sensitive-data/${(expectStatus(record, 200) as { id: string }).id}`, `value ${at}`);
      const file = expectStatus(await client.upload(`${at}.txt`, `content ${at}`), 201) as { id: string };
      contents.set(`/files/${file.id}/content`, `content ${at}`);
    }
    return { person, client, id, contents };
  };
  const userKey = async ({ client }: Owner): Promise<UserKey> =>
    (expectStatus(await client.get('/keys'), 200) as { user_key: UserKey }).user_key;
  const isOver = async (of: Owner, version: number): Promise<boolean> => {
    const { current, versions } = await userKey(of);
    return current === version && versions.length === 1;
  };
  /** What was read otherwise than as it was stored. */
  const misread = async ({ client, contents }: Owner): Promise<unknown[]> => {
    const wrong: unknown[] = [];
    for (const [path, content] of contents) {
      const answer = await client.get(path);
      if (answer.status !== 200 || !answer.text.includes(content)) wrong.push([path, answer.status, answer.text]);
    }
    return wrong;
  };

  it('is never seen by who reads meanwhile, and leaves one version', async () => {
    const someone = await owner();
    let running = true;
    const read = async (): Promise<unknown[]> => {
      const wrong: unknown[] = [];
      while (running) wrong.push(...(await misread(someone)));
      return wrong;
    };
    const reading = [read(), read()];
    expectStatus(await someone.client.post('/keys/rotate'), 200);
    await waitFor('the end of the rotation', () => isOver(someone, 2));
    running = false;
    expect((await Promise.all(reading)).flat()).toEqual([]);
    expect(await misread(someone)).toEqual([]);
    expect((await someone.client.get('/files/by-name/0.txt/content')).text).toBe('content 0');
  }, 60_000);

  it('is begun by administrators for anybody, and by nobody else', async () => {
    const [someone, stranger] = [await owner(), await owner()];
    expectProblem(await stranger.client.post(`/users/${someone.id}/rotate-key`), 403, 'permission_denied');
    expectStatus(await context.admin.post(`/users/${someone.id}/rotate-key`), 200);
    await waitFor('the end of the rotation', () => isOver(someone, 2));
    expect([await misread(someone), (await userKey(stranger)).current]).toEqual([[], 1]);
  }, 60_000);

  it('goes together with one of the master key, and with an erase', async () => {
    const [someone, leaving] = [await owner(), await owner()];
    const [own, other] = await Promise.all([
      someone.client.post('/keys/rotate'),
      context.admin.post(`/users/${leaving.id}/rotate-key`),
      context.admin.post('/rotate-master-key'),
    ]);
    expectStatus(own, 200);
    expectStatus(other, 200);
    expectStatus(await leaving.client.delete('/me'), 200);
    await waitFor('the end of the rotation', () => isOver(someone, 2));
    expect(await misread(someone)).toEqual([]);
    expectProblem(await leaving.client.get('/me'), 401, 'invalid_session');
  }, 60_000);

  if (context.profile !== 'mongoose+kv') return;

  it('leaves no byte of the former wrap in Vault', async () => {
    const someone = await owner();
    const { bao } = context.parts!;
    const path = `user_keys/${someone.person.username}`;
    const keyId = async (version = 0): Promise<unknown> => {
      const { data } = (await bao.request('GET', `kv/data/${path}?version=${version}`)).data as {
        data: { key_id: string };
      };
      return data.key_id;
    };
    const former = await keyId();
    expectStatus(await someone.client.post('/keys/rotate'), 200);
    await waitFor('the end of the rotation', () => isOver(someone, 2));
    await waitFor('the former wraps to go', async () => {
      const { versions, current_version: current } = (await bao.request('GET', `kv/metadata/${path}`)).data as {
        readonly versions: Record<string, { readonly destroyed: boolean }>;
        readonly current_version: number;
      };
      return Object.entries(versions).every(([version, { destroyed }]) => Number(version) === current || destroyed);
    });
    expect(await keyId()).not.toBe(former);
  }, 60_000);
}
