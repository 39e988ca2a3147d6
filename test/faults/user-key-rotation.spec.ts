import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { ciphertext } from '../../src/kernel';
import { Retirement } from '../../src/keys/rotation';
import { userKeysCollection, UserKeyRotator } from '../../src/keys/user';
import { StoreUserKeyHome } from '../../src/keys/user/in-store';
import { newPerson, signUp } from '../support/accounts';
import { startActor } from '../support/actors';
import { Client, expectStatus } from '../support/client';
import { type KeyHouse, openKeyHouse } from '../support/key-house';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { waitFor } from '../support/processes';
import { type Service, startService } from '../support/service';

beforeAll(() => void Logger.overrideLogger(false));

interface Keys {
  readonly master_key: { readonly current: number; readonly versions: readonly { readonly version: number }[] };
  readonly user_key: { readonly current: number; readonly versions: readonly { readonly version: number }[] };
}

const ROTATION_POINTS = [
  'user-key-rotation.wrapped',
  'user-key-rotation.version-added',
  'user-key-rotation.target-pinned',
  'user-key-rotation.rewrapped',
  'user-key-rotation.resealed',
  'user-key-rotation.dropped',
  'user-key-rotation.before-done',
];
const POINTS_IN_VAULT = [
  'user-key.vault-kept',
  'user-key.row-dropped',
  'user-key.strays-marked',
  'user-key.vault-forgotten',
  'user-key.strays-removed',
];

const RETIRE_POINTS = ['retire.epoch-raised', 'retire.counted', 'retire.ended'];

describe('A service that is killed', () => killed(ROTATION_POINTS, RETIRE_POINTS));

describeWithPart('openbao', 'A service with its keys in Vault KV that is killed', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());

  const pointsOfRetire = [...RETIRE_POINTS, 'kv-master.dropped', 'kv-master.destroyed'];
  killed([...ROTATION_POINTS, ...POINTS_IN_VAULT], pointsOfRetire, () => ({
    MASTER_KEY: 'kv',
    USER_KEY_STORE: 'vault',
    VAULT_ADDR: bao.address,
    VAULT_ROLE_ID: bao.roleId,
    VAULT_SECRET_ID: bao.secretId,
  }));

  it('has one wrap of one key left in the document of its administrator', async () => {
    const { keys } = (await bao.request('LIST', 'kv/metadata/user_keys')).data as { keys: string[] };
    for (const name of keys) {
      const { data } = (await bao.request('GET', `kv/data/user_keys/${name}`)).data as { data: object };
      expect(data).not.toHaveProperty('others');
    }
  });

  it('has no version of the master key document left in which a retired version stands', async () => {
    const { versions } = (await bao.request('GET', 'kv/metadata/master_key')).data as { versions: object };
    const documents = await Promise.all(
      Object.entries(versions as Record<string, { readonly destroyed: boolean }>)
        .filter(([, { destroyed }]) => !destroyed)
        .map(async ([at]) => (await bao.request('GET', `kv/data/master_key?version=${at}`)).data['data']),
    );
    const held = (documents as { versions: object }[]).flatMap((document) => Object.keys(document.versions));
    const newest = documents.at(-1) as { current: number; destroyed_below: number };
    expect(new Set(held)).toEqual(new Set([String(newest.current)]));
    expect(newest.destroyed_below).toBe(newest.current);
  });
});

function killed(
  rotationPoints: readonly string[],
  retirePoints: readonly string[],
  env = (): Record<string, string> => ({}),
): void {
  let service: Service;
  let admin: Client;
  const contents = new Map<string, string>();

  beforeAll(async () => {
    service = await startService({ env: { ...env(), KMS_CACHE_SECONDS: '0' } });
    admin = (await signUp(new Client(service.url), newPerson('admin'))).client;
    for (let n = 0; n < 5; n += 1) {
      const record = await admin.post('/sensitive-data', { data_type: 'note', value: `value ${n}` });
      contents.set(`/sensitive-data/${String(record.json.id)}`, `value ${n}`);
      const file = await admin.upload(`file ${n}.txt`, `content ${n}`);
      contents.set(`/files/${String(file.json.id)}/content`, `content ${n}`);
    }
  }, 90_000);
  afterAll(() => service.dispose());

  const keys = async (): Promise<Keys> => (await admin.get('/keys')).json as Keys;

  async function expectReadable(): Promise<void> {
    for (const [path, content] of contents) {
      const answer = await admin.get(path);
      expect([path, answer.status, answer.text.includes(content)]).toEqual([path, 200, true]);
    }
    expect((await admin.get('/files')).status).toBe(200);
    expect((await admin.get('/sessions')).status).toBe(200);
  }

  /** Sends a request on which the service dies; what answer it leaves, if any, does not matter. */
  async function dieOf(point: string, path: string): Promise<void> {
    await service.restart({ COFFER_FAILPOINT: point });
    const died = service.ended();
    await admin.post(path).catch(() => undefined);
    expect(await died).toBeNull();
    await service.restart({ COFFER_FAILPOINT: undefined });
  }

  it.each(rotationPoints)(
    'in a user-key rotation at %s reads all meanwhile and ends it afterwards, with one new version',
    async (point) => {
      const before = (await keys()).user_key.current;
      await dieOf(point, '/keys/rotate');
      await expectReadable();
      await waitFor('the end of the rotation', async () => {
        const { user_key } = await keys();
        return user_key.versions.length === 1 && user_key.current === before + 1 ? true : undefined;
      });
      await expectReadable();
    },
  );

  it.each(retirePoints)('in a retire at %s reads all afterwards, and the retire may be repeated', async (point) => {
    expectStatus(await admin.post('/rotate-master-key'), 200);
    const { current } = (await keys()).master_key;
    const path = `/keys/versions/${current - 1}/retire`;
    await dieOf(point, path);
    await expectReadable();
    const again = await admin.post(path);
    expect([200, 404]).toContain(again.status);
    expect((await keys()).master_key.versions.map(({ version }) => version)).toEqual([current]);
    await expectReadable();
  });
}

/** State T of the process, the third field of its stat after the name in brackets. */
const isStopped = (pid: number): boolean =>
  / T /.test(/\)( \S )/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '');

describe('A writer that is stopped across a rotation and the end of the former version, and then goes on', () => {
  let folder: string;
  let house: KeyHouse;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-stopped-'));
    house = await openKeyHouse(folder, { cacheMs: 0 });
    await house.userKeys.create('a', 'a');
  });
  afterEach(async () => {
    await house.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The writer's last line, with `meanwhile` done while it is stopped. */
  async function writerAround(act: 'create' | 'insert', meanwhile: () => Promise<void>): Promise<string> {
    const writer = startActor('stopped-writer', folder, act);
    await waitFor('the writer to stop', () => Promise.resolve(isStopped(writer.pid) || undefined));
    await meanwhile();
    writer.resume();
    expect(await writer.exited).toBe(0);
    return writer.output().trim().split('\n').at(-1) ?? '';
  }

  const rotateAndRetire = async (): Promise<void> => {
    await house.rotations.start('admin');
    await new Retirement(house.masterKey, house.row, house.systemKeys, house.rewrapper).retire(1);
  };

  it('makes a user key under the master key version that there still is', async () => {
    await writerAround('create', rotateAndRetire);
    const row = await house.store.collection(userKeysCollection).find('_id', 'late');
    expect(row).toMatchObject({ state: 'active', versions: [{ master_version: 2 }] });
    await house.sealer.with('late', (keys) => keys.nameIndex('x'));
  });

  it('seals a value under the user key version that there still is', async () => {
    const said = await writerAround('insert', async () => {
      const rotator = new UserKeyRotator(
        house.store,
        house.masterKey,
        house.row,
        { now: () => Date.now() },
        new StoreUserKeyHome(),
      );
      await rotator.advance('a', 1);
      await rotator.drop('a', new Set([1]));
      await rotateAndRetire();
    });
    const envelope = ciphertext(Buffer.from(said.replace('done ', ''), 'hex'));
    const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };
    expect(await house.sealer.with('a', (keys) => keys.open('records', place, envelope).toString())).toBe('x');
  });
});
