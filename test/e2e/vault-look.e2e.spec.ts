import { login, newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const HEX_KEY = /^[0-9a-f]{64}$/;
const HEX_SEALED_KEY = /^[0-9a-f]{96}$/;
const HEX_NONCE = /^[0-9a-f]{24}$/;

/**
 * What the specification's walk looks at in Vault's UI, with the settings of docker-compose.yml.
 * The UI shows what these requests answer.
 */
describeWithPart('openbao', 'A look into Vault, with MASTER_KEY=kv and USER_KEY_STORE=vault', () => {
  let bao: Bao;
  let vault: Record<string, string>;
  let service: Service;
  let client: Client;
  let admin: Client;

  beforeAll(async () => {
    bao = await startOpenBao();
    vault = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    service = await startService({ env: { ...vault, MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' } });
    client = new Client(service.url);
    admin = (await signUp(client)).client;
  }, 90_000);
  afterAll(async () => {
    await service.dispose();
    await bao.stop();
  });

  const secret = async (path: string): Promise<Record<string, unknown>> =>
    (await bao.request('GET', `kv/data/${path}`)).data['data'] as Record<string, unknown>;

  it('shows the master key at kv/master_key, in hex', async () => {
    expect(await secret('master_key')).toEqual({
      versions: { '1': { key: expect.stringMatching(HEX_KEY), created_at: expect.any(String) } },
      current: 1,
      installation_id: expect.any(String),
    });
  });

  it("shows a user's wrapped key and its nonce at kv/user_keys/<username>, in hex", async () => {
    const { person } = await signUp(client, { ...newPerson(), username: 'TestUser' });
    expect(await secret('user_keys/testuser')).toEqual({
      user_id: expect.any(String),
      version: 1,
      key_id: expect.any(String),
      master_version: 1,
      created_at: expect.any(String),
      wrapped_by: 'kv',
      key: expect.stringMatching(HEX_SEALED_KEY),
      nonce: expect.stringMatching(HEX_NONCE),
    });
    const session = client.as((await login(client, person)).access_token);
    expectStatus(await session.post('/sensitive-data', { data_type: 'note', value: 'a value' }), 200);
  });

  it('shows a second version after a rotation, and the same user under it', async () => {
    const before = await secret('user_keys/testuser');
    expectStatus(await admin.post('/rotate-master-key'), 200);
    const after = await waitFor('the rotation to reach the user', async () => {
      const now = await secret('user_keys/testuser');
      return now['master_version'] === 2 ? now : undefined;
    });
    expect(after).toMatchObject({ user_id: before['user_id'], key_id: before['key_id'], version: 1 });
    expect(after['key']).not.toBe(before['key']);
    expect(await secret('master_key')).toMatchObject({ current: 2, versions: { '1': {}, '2': {} } });
  });

  it('shows no key of a user who could not be registered', async () => {
    const taken = { ...newPerson(), username: 'testuser' };
    const before = await secret('user_keys/testuser');
    expectStatus(await client.post('/register', taken), 409);
    expect(await secret('user_keys/testuser')).toEqual(before);
  });

  it.each([
    ['kv', 'kv/master_key in Vault is the master key of another installation'],
    ['transit', 'kv/user_keys in Vault holds user keys of another installation'],
  ])('refuses a second installation on the same mount (MASTER_KEY=%s), and changes nothing', async (home, line) => {
    const seen = async () => [await secret('master_key'), await secret('user_keys/testuser')];
    const before = await seen();
    const second = startService({ env: { ...vault, MASTER_KEY: home, USER_KEY_STORE: 'vault' } });
    await expect(second.then((started) => started.dispose())).rejects.toThrow(line);
    expect(await seen()).toEqual(before);
    await service.restart();
    expect(await seen()).toEqual(before);
  });
});
