import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { type Service, startService } from '../support/service';
import { runTool, type ToolRun } from '../support/tools';

const root = join(__dirname, '../..');

const keys = (service: Service, ...args: string[]): Promise<ToolRun> => runTool(service, 'keys', ...args);

describeWithPart('openbao', 'npm run keys -- trim', () => {
  let bao: Bao;
  let service: Service;
  let admin: Client;
  let folder: string;
  let operator: string;

  beforeAll(async () => {
    bao = await startOpenBao();
    folder = await mkdtemp(join(tmpdir(), 'coffer-trim-'));
    operator = join(folder, 'operator-token');
    const policy = await readFile(join(root, 'deploy/vault/operator-policy.hcl'), 'utf8');
    await bao.request('POST', 'sys/policies/acl/coffer-operator', { policy });
    const made = await bao.request<{ auth: { client_token: string } }>('POST', 'auth/token/create', {
      policies: ['coffer-operator'],
    });
    await writeFile(operator, `${made.auth.client_token}\n`);
    const env = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    service = await startService({ env: { ...env, MASTER_KEY: 'transit' } });
    admin = (await signUp(new Client(service.url), newPerson('admin'))).client;
    expectStatus(await admin.post('/rotate-master-key'), 200);
  }, 120_000);
  afterAll(async () => {
    await service.dispose();
    await bao.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('refuses what is in use and what is not retired', async () => {
    const current = await keys(service, 'trim', '2', '--token-file', operator);
    expect([current.code, current.err]).toEqual([1, expect.stringContaining('Keys are wrapped by this version')]);
    const kept = await keys(service, 'trim', '1', '--token-file', operator);
    expect([kept.code, kept.err]).toEqual([1, expect.stringContaining('Version 1 is not retired')]);
  });

  it('refuses a token that may not, and a file without one', async () => {
    expectStatus(await admin.post('/keys/versions/1/retire'), 200);
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, 'no-such-token');
    for (const path of [wrong, join(folder, 'absent')]) {
      const refused = await keys(service, 'trim', '1', '--token-file', path);
      expect([refused.code, refused.out]).toEqual([1, '']);
      expect(refused.err).not.toContain('no-such-token');
    }
    expect(
      (await bao.request<{ data: { min_available_version: number } }>('GET', 'transit/keys/coffer-master')).data,
    ).toMatchObject({ min_available_version: 0, min_decryption_version: 2 });
  });

  it('destroys a retired version, may be repeated, and leaves everything readable', async () => {
    const id = (await admin.post('/sensitive-data', { data_type: 'note', value: 'kept' })).json.id as string;
    for (let time = 0; time < 2; time += 1) {
      const done = await keys(service, 'trim', '1', '--token-file', operator);
      expect(done).toEqual({ code: 0, out: 'Master key version 1 and all before it are destroyed.\n', err: '' });
    }
    const { data } = await bao.request<{ data: object }>('GET', 'transit/keys/coffer-master');
    expect(data).toMatchObject({ min_available_version: 2 });
    await service.restart();
    expect((await admin.get(`/sensitive-data/${id}`)).json.value).toBe('kept');
    expectStatus(await admin.post('/rotate-master-key'), 200);
  });
});
