import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Logger } from '@nestjs/common';
import { isDomainError, StartupError } from '../../src/kernel';
import { KvMasterKey } from '../../src/keys/master-key/kv';
import { TransitMasterKey } from '../../src/keys/master-key/transit';
import { partProgram } from '../support/installed';
import { kvConfig, openKv, operatorToken, serviceToken } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { bareEnvironment, waitFor } from '../support/processes';
import { useRealDeadlines } from '../support/settings';
import { context, newKey, openTransit, transitConfig, unavailable, wrapOne } from '../support/transit';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeWithPart('openbao', 'The shipped policy', () => {
  let bao: Bao;
  let token: string;

  beforeAll(async () => {
    bao = await startOpenBao();
    await bao.request('POST', 'transit/keys/other', { type: 'aes256-gcm96', derived: true });
    token = await serviceToken(bao);
  });
  afterAll(() => bao.stop());

  const item = { plaintext: Buffer.from('x').toString('base64'), context: Buffer.from('y').toString('base64') };

  it.each([
    ['make a key by a misspelt name', 'POST', 'transit/encrypt/coffer-mastre', item],
    ['make a key', 'POST', 'transit/keys/new', { type: 'aes256-gcm96' }],
    ['use another key', 'POST', 'transit/encrypt/other', item],
    ['list keys', 'LIST', 'transit/keys', undefined],
    ['choose the version to encrypt with', 'POST', 'transit/keys/coffer-master/config', { min_encryption_version: 1 }],
    ['allow the deletion of the key', 'POST', 'transit/keys/coffer-master/config', { deletion_allowed: true }],
    ['make the key exportable', 'POST', 'transit/keys/coffer-master/config', { exportable: true }],
    ['export the key', 'GET', 'transit/export/encryption-key/coffer-master', undefined],
    ['back the key up', 'GET', 'transit/backup/coffer-master', undefined],
    ['trim the key', 'POST', 'transit/keys/coffer-master/trim', { min_available_version: 1 }],
    ['delete the key', 'DELETE', 'transit/keys/coffer-master', undefined],
    ['delete the key softly', 'DELETE', 'transit/keys/coffer-master/soft-delete', undefined],
    ['have data keys made', 'POST', 'transit/datakey/plaintext/coffer-master', { context: item.context }],
    ['read its own policy', 'GET', 'sys/policies/acl/coffer', undefined],
    ['list mounts', 'GET', 'sys/mounts', undefined],
    ['issue itself a secret id', 'POST', 'auth/approle/role/coffer/secret-id', {}],
    ['write elsewhere in kv', 'POST', 'kv/data/anything', { data: {} }],
    ['delete the master key document', 'DELETE', 'kv/data/master_key', undefined],
    ['delete all versions of the master key document', 'DELETE', 'kv/metadata/master_key', undefined],
    ['delete a user key document', 'DELETE', 'kv/metadata/user_keys/alice', undefined],
    ['list user names', 'LIST', 'kv/metadata/user_keys', undefined],
    ['change how versions are kept', 'POST', 'kv/metadata/master_key', { max_versions: 1 }],
    ['bring destroyed documents back', 'POST', 'kv/undelete/master_key', { versions: [1] }],
    ['destroy versions of the master key document', 'POST', 'kv/destroy/master_key', { versions: [1] }],
    ['destroy versions by PUT', 'PUT', 'kv/destroy/master_key', { versions: [1] }],
    ['delete versions of the master key document', 'POST', 'kv/delete/master_key', { versions: [1] }],
    ['change how long versions of user keys are kept', 'POST', 'kv/metadata/user_keys/alice', { max_versions: 1 }],
    ['configure the KV engine', 'POST', 'kv/config', { max_versions: 1 }],
  ])('does not let the service %s', async (_, method, path, body) => {
    await expect(bao.request(method, path, body, token)).rejects.toThrow('403');
  });

  it('keeps the master key however often a stolen token writes over its document', async () => {
    await (await openKv(bao)).close();
    const at = async (version = ''): Promise<unknown> =>
      (await bao.request('GET', `kv/data/master_key${version}`)).data['data'];
    const genuine = await at();
    for (let cas = 1; cas <= 30; cas += 1)
      await bao.request('POST', 'kv/data/master_key', { data: { junk: cas }, options: { cas } }, token);
    await expect(openKv(bao)).rejects.toThrow('is not a document of Coffer');
    expect(await at('?version=1')).toEqual(genuine);
    const back = { data: await at('?version=1'), options: { cas: 31 } };
    await bao.request('POST', 'kv/data/master_key', back);
    await (await openKv(bao)).close();
  });

  it('lets a stolen token destroy a user key, as the threat model says', async () => {
    const write = (data: object): Promise<unknown> => bao.request('POST', 'kv/data/user_keys/bob', { data }, token);
    await write({ user_id: 'bob' });
    await bao.request('POST', 'kv/destroy/user_keys/bob', { versions: [1] }, token);
    await expect(bao.request('GET', 'kv/data/user_keys/bob')).rejects.toThrow('404');
  });

  it('lets a stolen token open wraps that were stolen with it for as long as it lives, and shows no key', async () => {
    const stolen = await serviceToken(bao);
    const { data: wrapped } = await bao.request('POST', 'transit/encrypt/coffer-master', item, token);
    const wrap = { ciphertext: wrapped['ciphertext'], context: item.context };
    const open = () => bao.request('POST', 'transit/decrypt/coffer-master', wrap, stolen);
    expect((await open()).data).toEqual({ plaintext: item.plaintext });
    const shown = (await bao.request('GET', 'transit/keys/coffer-master', undefined, stolen)).data['keys'];
    // Times of making, by version: a key would be an object with its material.
    expect(Object.values(shown as object).map((made) => typeof made)).toEqual(['number']);
    await bao.request('POST', 'auth/token/revoke', { token: stolen });
    await expect(open()).rejects.toThrow('403');
  });

  it('lets a stolen token disable and enable versions of the Transit key, and end none', async () => {
    const path = 'transit/keys/coffer-master';
    await bao.request('POST', `${path}/rotate`, {}, token);
    for (const min_decryption_version of [2, 1]) {
      await bao.request('POST', `${path}/config`, { min_decryption_version }, token);
      expect((await bao.request('GET', path)).data).toMatchObject({ min_decryption_version, min_available_version: 0 });
    }
  });

  it.each([
    ['read the master key document', 'GET', 'kv/data/master_key', undefined],
    ['write the master key document', 'POST', 'kv/data/master_key', { data: {}, options: { cas: 1 } }],
    ['remove the master key document', 'DELETE', 'kv/metadata/master_key', undefined],
    ['decrypt', 'POST', 'transit/decrypt/coffer-master', { ciphertext: 'vault:v1:AAAA', context: item.context }],
    ['export the key', 'GET', 'transit/export/encryption-key/coffer-master', undefined],
    ['read user keys', 'GET', 'kv/data/user_keys/alice', undefined],
  ])('does not let the operator %s', async (_, method, path, body) => {
    await expect(bao.request(method, path, body, await operatorToken(bao))).rejects.toThrow('403');
  });

  it('does not let the service make an absent key, and the start says so', async () => {
    await expect(openTransit(bao, { keyName: 'absent' })).rejects.toThrow(StartupError);
  });
});

describeWithPart('openbao', 'The Transit key', () => {
  let bao: Bao;

  beforeAll(async () => {
    const policy = 'path "transit/*" {capabilities=["create","read","update"]}';
    bao = await startOpenBao({ policy });
  });
  afterAll(() => bao.stop());

  it('is made at the start where it is absent and the policy lets us, of the right type', async () => {
    await (await openTransit(bao, { keyName: 'fresh' })).close();
    const { data } = await bao.request('GET', 'transit/keys/fresh');
    expect(data).toMatchObject({ type: 'aes256-gcm96', derived: true, exportable: false, deletion_allowed: false });
  });

  it('is made once by processes that start at the same time', async () => {
    const homes = await Promise.all([1, 2, 3].map(() => openTransit(bao, { keyName: 'raced' })));
    expect(await Promise.all(homes.map(async (home) => (await home.state()).current))).toEqual([1, 1, 1]);
    await Promise.all(homes.map((home) => home.close()));
  });

  it('is not made beside an installation that has lost it', async () => {
    const home = new TransitMasterKey(transitConfig(bao, { keyName: 'lost' }));
    await expect(home.open({ create: false })).rejects.toThrow(StartupError);
    await expect(bao.request('GET', 'transit/keys/lost')).rejects.toThrow('404');
    await home.close();
  });

  it.each([
    ['without derivation', { type: 'aes256-gcm96' }],
    ['of another type', { type: 'chacha20-poly1305', derived: true }],
  ])('%s refuses the start', async (name, options) => {
    const keyName = `wrong-${name.length}`;
    await bao.request('POST', `transit/keys/${keyName}`, options);
    await expect(openTransit(bao, { keyName })).rejects.toThrow('must be of type aes256-gcm96 with derived=true');
  });

  it('refuses the start where there is no Transit engine at the mount', async () => {
    await expect(openTransit(bao, { transitMount: 'nowhere' })).rejects.toThrow(StartupError);
  });

  it('makes items no worse where it is gone: that is an outage', async () => {
    const master = await openTransit(bao, { keyName: 'doomed' });
    const wrapped = await wrapOne(master);
    await bao.request('POST', 'transit/keys/doomed/config', { deletion_allowed: true });
    await bao.request('DELETE', 'transit/keys/doomed');
    await expect(master.unwrap([{ wrapped, context }])).rejects.toMatchObject(unavailable);
    await expect(master.rewrap(1, [{ wrapped, context }])).rejects.toMatchObject(unavailable);
    await master.close();
  });

  it('no longer opens what a version below min_decryption_version wrapped, and says so item by item', async () => {
    const master = await openTransit(bao, { keyName: 'ended' });
    const old = await wrapOne(master);
    await master.rotate(1);
    const [current] = await master.wrap(2, [{ key: newKey(), context }]);
    await bao.request('POST', 'transit/keys/ended/config', { min_decryption_version: 2 });
    const items = [old, current!].map((wrapped) => ({ wrapped, context }));
    expect((await master.unwrap(items)).map(({ ok }) => ok)).toEqual([false, true]);
    expect((await master.rewrap(2, items)).map(({ ok }) => ok)).toEqual([false, true]);
    expect((await master.state()).versions.map(({ version }) => version)).toEqual([2]);
    await master.close();
  });

  it('is found in the namespace that is configured', async () => {
    await bao.request('POST', 'sys/namespaces/team', {});
    const inTeam = { token: bao.rootToken };
    await expect(openTransit(bao, { login: inTeam, namespace: 'team' })).rejects.toThrow('no Transit engine');
    const mount = await fetch(`${bao.address}/v1/sys/mounts/transit`, {
      method: 'POST',
      headers: { 'X-Vault-Token': bao.rootToken, 'X-Vault-Namespace': 'team' },
      body: JSON.stringify({ type: 'transit' }),
    });
    expect(mount.status).toBe(204);
    const master = await openTransit(bao, { login: inTeam, namespace: 'team', keyName: 'of-the-team' });
    expect((await wrapOne(master)).masterVersion).toBe(1);
    await expect(bao.request('GET', 'transit/keys/of-the-team')).rejects.toThrow('404');
    await master.close();
  });
});

describeWithPart('openbao', 'The KV document of the master key', () => {
  let bao: Bao;

  beforeAll(async () => {
    const paths = ['kv', 'fresh', 'raced', 'lost', 'kept', 'old'];
    const policy = paths.map((path) => `path "${path}/*" {capabilities=["create","read","update"]}`).join('\n');
    bao = await startOpenBao({ policy });
    for (const path of paths.slice(1)) {
      const options = path === 'old' ? {} : { options: { version: '2' } };
      await bao.request('POST', `sys/mounts/${path}`, { type: 'kv', ...options });
    }
  });
  afterAll(() => bao.stop());

  /**
   * A fresh mount answers that it is upgrading for a moment; the service tries its start again just
   * so.
   */
  const opened = (kvMount: string): ReturnType<typeof openKv> =>
    waitFor('the mount', () =>
      openKv(bao, { kvMount }).catch((error: unknown) => {
        if (isDomainError(error, 'kms_unavailable')) return undefined;
        throw error;
      }),
    );
  const refusal = (kvMount: string, create?: boolean): Promise<unknown> =>
    new KvMasterKey(kvConfig(bao, { kvMount }), { maxAgeMs: 0 }).open(create === undefined ? {} : { create }).then(
      () => 'opened',
      (error: unknown) => error,
    );
  const document = async (mount: string): Promise<unknown> =>
    (await bao.request('GET', `${mount}/data/master_key`)).data['data'];

  it('is made at the first start and left alone by later ones', async () => {
    await (await opened('fresh')).close();
    const made = await document('fresh');
    expect(made).toMatchObject({ current: 1, versions: { '1': { key: expect.stringMatching(/^[0-9a-f]{64}$/) } } });
    await (await opened('fresh')).close();
    expect(await document('fresh')).toEqual(made);
  });

  it('gets one version by processes that rotate at the same time, and none is lost', async () => {
    await (await opened('raced')).close();
    const homes = await Promise.all([1, 2, 3, 4].map(() => openKv(bao, { kvMount: 'raced' })));
    const wraps = await Promise.all(homes.map(wrapOne));
    expect(await Promise.all(homes.map((home) => home.rotate(1)))).toEqual([2, 2, 2, 2]);
    expect(await Promise.all(homes.map((home) => home.rotate(2)))).toEqual([3, 3, 3, 3]);
    const results = await homes[0]!.unwrap(wraps.map((wrapped) => ({ wrapped, context })));
    expect(results.every(({ ok }) => ok)).toBe(true);
    await Promise.all(homes.map((home) => home.close()));
  });

  it('is not made beside an installation that has lost it', async () => {
    await waitFor('the mount', async () => (await refusal('lost', false)) instanceof StartupError);
    expect(await refusal('lost', false)).toMatchObject({ message: expect.stringContaining('missing') });
    await expect(document('lost')).rejects.toThrow('404');
  });

  it('that was deleted by hand refuses the start and says how to get it back', async () => {
    await (await opened('kept')).close();
    await bao.request('DELETE', 'kept/data/master_key');
    expect(await refusal('kept')).toMatchObject({ message: expect.stringContaining('undelete') });
    await bao.request('POST', 'kept/undelete/master_key', { versions: [1] });
    expect(await refusal('kept')).toBe('opened');
  });

  it('that is something else refuses the start and is left as it was', async () => {
    await (await opened('kv')).close();
    for (const data of [{}, { versions: {}, current: 1 }, { versions: { '1': { key: 'zz' } }, current: 1 }]) {
      await bao.request('POST', 'kv/data/master_key', { data });
      expect(await refusal('kv')).toMatchObject({ message: expect.stringContaining('is not a document of Coffer') });
      expect(await document('kv')).toEqual(data);
    }
  });

  it.each([
    ['there is no engine', 'absent', 'policy does not let Coffer read and write absent/data/master_key'],
    ['the engine is of version 1', 'old', 'no KV engine of version 2 at old'],
  ])('refuses the start where %s', async (_, mount, words) => {
    expect(await refusal(mount)).toMatchObject({ message: expect.stringContaining(words) });
  });
});

describeWithPart('openbao', 'A Vault behind TLS', () => {
  let bao: Bao;
  let address: string;
  let close: () => void;
  const certificate = join(__dirname, '../support/tls/server-cert.pem');

  beforeAll(async () => {
    bao = await startOpenBao();
    const tls = { cert: readFileSync(certificate), key: readFileSync(join(dirname(certificate), 'server-key.pem')) };
    const proxy = createServer(tls, (request, response) => {
      const url = `${bao.address}${request.url!}`;
      const onward = httpRequest(url, { method: request.method!, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    address = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    close = () => {
      proxy.close();
      proxy.closeAllConnections();
    };
  });
  afterAll(async () => {
    close();
    await bao.stop();
  });

  it('is reached with the authority of VAULT_CACERT', async () => {
    const master = await openTransit(bao, { address, caCert: certificate });
    expect((await wrapOne(master)).masterVersion).toBe(1);
    await master.close();
  });

  it('is not reached without it: an unknown certificate is never accepted', async () => {
    await expect(openTransit(bao, { address })).rejects.toMatchObject(unavailable);
  });

  it('refuses the start where VAULT_CACERT cannot be read', async () => {
    await expect(openTransit(bao, { address, caCert: '/nowhere.pem' })).rejects.toThrow(StartupError);
  });
});

describeWithPart('openbao', 'deploy/vault/init.sh', () => {
  let bao: Bao;
  let folder: string;

  beforeAll(async () => {
    bao = await startOpenBao();
    await bao.request('DELETE', 'sys/mounts/transit');
    await bao.request('DELETE', 'sys/mounts/kv');
    await bao.request('DELETE', 'sys/auth/approle');
    await bao.request('DELETE', 'sys/policies/acl/coffer');
    folder = mkdtempSync(join(tmpdir(), 'coffer-vault-init-'));
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await bao.stop();
  });

  const run = (): void => {
    const path = `${dirname(partProgram('bao'))}${delimiter}${process.env['PATH'] ?? ''}`;
    const vault = { VAULT_ADDR: bao.address, VAULT_TOKEN: bao.rootToken, COFFER_CREDENTIALS_DIR: folder };
    const env = { ...bareEnvironment(), HOME: folder, PATH: path, ...vault };
    const { status, stderr } = spawnSync('sh', [join(__dirname, '../../deploy/vault/init.sh')], {
      env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  };
  const credential = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();

  it('sets an empty Vault up so that the service starts with what it wrote, and changes nothing when repeated', async () => {
    run();
    const login = { roleId: credential('role_id'), secretId: credential('secret_id') };
    expect(statSync(join(folder, 'secret_id')).mode & 0o777).toBe(0o400);
    const master = await openTransit(bao, { login });
    const wrapped = await wrapOne(master);
    run();
    expect(credential('secret_id')).toBe(login.secretId);
    expect((await master.unwrap([{ wrapped, context }]))[0]!.ok).toBe(true);
    await master.close();
  });

  it('keeps the versions of kv/master_key, which the service makes afterwards', async () => {
    run();
    const login = { roleId: credential('role_id'), secretId: credential('secret_id') };
    const master = await openKv(bao, { login });
    expect((await master.state()).current).toBe(1);
    await master.close();
    run();
    const { data } = await bao.request('GET', 'kv/metadata/master_key');
    expect(data).toMatchObject({ max_versions: 1_000_000, cas_required: true, current_version: 1 });
  });
});
