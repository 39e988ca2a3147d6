import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { type BareBao, describeWithPart, partProgram, startBareBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const script = join(__dirname, '../../deploy/compose/vault-init.sh');

/**
 * The compose file cannot be run where there is no container engine; what its init step does to a
 * Vault can.
 */
describeWithPart('openbao', 'The init step of docker-compose.yml', () => {
  let bao: BareBao;
  let folder: string;
  const inFolder = (name: string): string => join(folder, name);
  const appSecrets = (): Record<string, string> =>
    parseEnv(readFileSync(inFolder('app/app.env'), 'utf8')) as Record<string, string>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'coffer-compose-'));
    for (const name of ['operator', 'app']) mkdirSync(inFolder(name));
    bao = await startBareBao();
  });

  afterAll(async () => {
    await bao.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function runInit(): { status: number | null; output: string } {
    const result = spawnSync('sh', [script], {
      env: {
        PATH: `${dirname(partProgram('bao'))}:${process.env['PATH'] ?? ''}`,
        HOME: folder,
        VAULT_ADDR: bao.address,
        OPERATOR_DIR: inFolder('operator'),
        APP_DIR: inFolder('app'),
        APP_OWNER: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
      },
      encoding: 'utf8',
      timeout: 50_000,
    });
    return { status: result.status, output: result.stdout + result.stderr };
  }

  async function call(method: string, path: string, body?: unknown, token?: string): Promise<Response> {
    return fetch(`${bao.address}/v1/${path}`, {
      method,
      headers: token === undefined ? {} : { 'X-Vault-Token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async function loginOfTheApp(): Promise<string> {
    const { VAULT_ROLE_ID: role_id, VAULT_SECRET_ID: secret_id } = appSecrets();
    const answer = await call('POST', 'auth/approle/login', { role_id, secret_id });
    return ((await answer.json()) as { auth: { client_token: string } }).auth.client_token;
  }

  it('initialises an empty Vault, once', () => {
    const result = runInit();
    expect(result).toEqual({ status: 0, output: expect.stringContaining('initialised') });
    const first = appSecrets();
    expect(Object.keys(first).sort()).toEqual(['JWT_SECRET', 'PEPPER', 'VAULT_ROLE_ID', 'VAULT_SECRET_ID']);
    expect(Math.min(first['JWT_SECRET']!.length, first['PEPPER']!.length)).toBeGreaterThanOrEqual(32);
    const again = runInit();
    expect(again).toEqual({ status: 0, output: expect.not.stringContaining('initialised') });
    expect(appSecrets()).toEqual(first);
  });

  it('unseals it after a restart and leaves the secrets of the app as they are', async () => {
    const before = appSecrets();
    await bao.restart();
    expect((await call('GET', 'sys/health')).status).toBe(503);
    expect(runInit()).toEqual({ status: 0, output: expect.stringContaining('unsealed') });
    expect(appSecrets()).toEqual(before);
  });

  it('gives the app a role that uses the master key and can neither export nor delete it', async () => {
    const token = await loginOfTheApp();
    const read = await call('GET', 'transit/keys/coffer-master', undefined, token);
    expect(((await read.json()) as { data: object }).data).toMatchObject({ type: 'aes256-gcm96', derived: true });
    for (const [method, path, body] of [
      ['GET', 'transit/export/encryption-key/coffer-master', undefined],
      ['DELETE', 'transit/keys/coffer-master', undefined],
      ['POST', 'transit/keys/coffer-master/config', { deletion_allowed: true }],
      ['GET', 'sys/policies/acl/coffer', undefined],
    ] as const) {
      expect([path, (await call(method, path, body, token)).status]).toEqual([path, 403]);
    }
  });

  it('keeps what it made from other users of the machine', () => {
    expect(statSync(inFolder('app/app.env')).mode & 0o777).toBe(0o400);
    expect(statSync(inFolder('operator/init.json')).mode & 0o777).toBe(0o600);
  });
});
