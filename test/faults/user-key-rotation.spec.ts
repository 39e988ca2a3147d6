import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { ciphertext, SystemClock } from '../../src/kernel';
import { Retirement } from '../../src/keys/rotation';
import { userKeysCollection, UserKeyRotator } from '../../src/keys/user-keys';
import { RowWrapStore } from '../support/row-wrap-store';
import { newPerson, signUp } from '../support/accounts';
import { startActor } from '../support/actors';
import { Client, expectStatus } from '../support/client';
import { drawn } from '../support/drawn';
import { type KeyFixture } from '../support/key-fixture';
import { type Bao, describeWithParts, type Secantus, startOpenBao, startSecantus } from '../support/parts';
import { waitFor } from '../support/processes';
import { vaultAndMongo } from '../support/profiles';
import { type Service, startService } from '../support/service';
import { openSite, type Site } from '../support/site';
import { transitConfig } from '../support/transit';

beforeAll(() => void Logger.overrideLogger(false));

interface Keys {
  readonly master_key: { readonly current: number; readonly versions: readonly { readonly version: number }[] };
  readonly user_key: { readonly current: number; readonly versions: readonly { readonly version: number }[] };
}

/**
 * A service on some homes of store and keys, and what shows whether the end of a version there is
 * the end.
 */
interface Installed {
  readonly env: Readonly<Record<string, string>>;
  readonly bao?: Bao;
  close(): Promise<void>;
}

function killSuite(
  install: () => Promise<Installed>,
  points: { readonly keys: string[]; readonly retire: string[] },
): void {
  let installed: Installed;
  let service: Service;
  let admin: Client;
  // The administrator rotates the owner's key: owners themselves rotate once in ten minutes.
  let owner: Client;
  let rotateKey: string;
  const contents = new Map<string, string>();

  beforeAll(async () => {
    installed = await install();
    service = await startService({ env: { KMS_CACHE_SECONDS: '0', ...installed.env } });
    admin = (await signUp(new Client(service.url), newPerson('admin'))).client;
    owner = (await signUp(new Client(service.url), newPerson('owner'))).client;
    rotateKey = `/users/${String((await owner.get('/me')).json.id)}/rotate-key`;
    for (let n = 0; n < 5; n += 1) {
      const record = await owner.post('/sensitive-data', { data_type: 'note', value: `value ${n}` });
      contents.set(`/sensitive-data/${String(record.json.id)}`, `value ${n}`);
      const file = await owner.upload(`file ${n}.txt`, `content ${n}`);
      contents.set(`/files/${String(file.json.id)}/content`, `content ${n}`);
    }
  }, 90_000);
  afterAll(async () => {
    await service.dispose();
    await installed.close();
  });

  const keys = async (): Promise<Keys> => (await owner.get('/keys')).json as Keys;

  async function expectReadable(): Promise<void> {
    for (const [path, content] of contents) {
      const answer = await owner.get(path);
      expect([path, answer.status, answer.text.includes(content)]).toEqual([path, 200, true]);
    }
    expect((await owner.get('/files')).status).toBe(200);
    expect((await owner.get('/sessions')).status).toBe(200);
  }

  /** Sends a request on which the service dies; what answer it leaves, if any, does not matter. */
  async function dieOf(point: string, path: string): Promise<void> {
    await service.arm(point);
    const died = service.ended();
    await admin.post(path).catch(() => undefined);
    expect(await died).toBeNull();
    await service.restart();
  }

  it.each(points.keys)(
    'in a user-key rotation at %s reads all meanwhile and ends it afterwards, with one new version',
    async (point) => {
      const before = (await keys()).user_key.current;
      await dieOf(point, rotateKey);
      await expectReadable();
      await waitFor('the end of the rotation', async () => {
        const { user_key } = await keys();
        return user_key.versions.length === 1 && user_key.current === before + 1 ? true : undefined;
      });
      await expectReadable();
    },
  );

  it.each(points.retire)('in a retire at %s reads all afterwards, and the retire may be repeated', async (point) => {
    expectStatus(await admin.post('/rotate-master-key'), 200);
    const { current } = (await keys()).master_key;
    const path = `/keys/versions/${current - 1}/retire`;
    await dieOf(point, path);
    await expectReadable();
    const again = await admin.post(path);
    expect([200, 404]).toContain(again.status);
    expect((await keys()).master_key.versions.map(({ version }) => version)).toEqual([current]);
    if (installed.env['MASTER_KEY'] === 'kv') await expectDropped(installed.bao!);
    await expectReadable();
  });
}

interface MasterDocument {
  readonly versions: object;
  readonly current: number;
}

/**
 * The retired versions are gone from the document. Its former versions are for an operator to
 * destroy.
 */
async function expectDropped(bao: Bao): Promise<void> {
  const { data } = (await bao.request('GET', 'kv/data/master_key')).data as { data: MasterDocument };
  expect(Object.keys(data.versions)).toEqual([String(data.current)]);
}

const KEYS = [
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
const RETIRE = ['retire.epoch-raised', 'retire.counted', 'retire.ended'];

describe('A service that is killed, on the embedded store and the local keyring,', () => {
  killSuite(() => Promise.resolve({ env: {}, close: () => Promise.resolve() }), { keys: KEYS, retire: RETIRE });
});

async function onVault(changes: Readonly<Record<string, string>> = {}): Promise<Installed> {
  const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
  const close = async (): Promise<void> => {
    await Promise.all([bao.stop(), secantus.stop()]);
  };
  return { env: { ...vaultAndMongo(bao, secantus), ...changes }, bao, close };
}

describeWithParts(['secantus', 'openbao'], 'A service that is killed, on MongoDB and Transit,', () => {
  killSuite(onVault, {
    keys: drawn('user-key rotation on MongoDB', KEYS, 2),
    retire: drawn('retire on MongoDB', RETIRE, 1),
  });
});

describeWithParts(['secantus', 'openbao'], 'A service that is killed, on MongoDB with all keys in Vault KV,', () => {
  killSuite(() => onVault({ MASTER_KEY: 'kv', USER_KEY_STORE: 'vault' }), {
    keys: [...POINTS_IN_VAULT, 'user-key-rotation.dropped'],
    retire: ['kv-master.dropped', 'retire.ended'],
  });
});

/** State T of the process, the third field of its stat after the name in brackets. */
const isStopped = (pid: number): boolean =>
  / T /.test(/\)( \S )/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '');

/**
 * `place`: store and key home of the installation, new for each test; absent: the embedded store
 * and the local keyring.
 */
function stoppedSuite(place: () => Omit<Site, 'folder'>): void {
  let site: Site;
  let fixture: KeyFixture;
  beforeEach(async () => {
    site = { ...place(), folder: await mkdtemp(join(tmpdir(), 'coffer-stopped-')) };
    fixture = await openSite(site, { cacheMs: 0 });
    await fixture.userKeys.create('a', 'a');
  });
  afterEach(async () => {
    await fixture.close();
    await rm(site.folder, { recursive: true, force: true });
  });

  /** The writer's last line, with `meanwhile` done while it is stopped. */
  async function writerAround(act: 'create' | 'insert', meanwhile: () => Promise<void>): Promise<string> {
    const writer = startActor('stopped-writer', JSON.stringify(site), act);
    await waitFor('the writer to stop', () => Promise.resolve(isStopped(writer.pid) || undefined));
    await meanwhile();
    writer.resume();
    expect(await writer.exited).toBe(0);
    return writer.output().trim().split('\n').at(-1) ?? '';
  }

  const rotateAndRetire = async (): Promise<void> => {
    const before = (await fixture.masterKey.state()).current;
    const rotation = await fixture.rotations.rotateMasterKey('admin');
    expect(rotation).toMatchObject({ state: 'done', failed: 0 });
    await new Retirement(fixture.masterKey, fixture.row, fixture.systemKeys, fixture.rewrapper).retire(before);
    expect(await fixture.rewrapper.countWrappedBy(before)).toBe(0);
  };

  it('makes a user key under the master key version that there still is', async () => {
    await writerAround('create', rotateAndRetire);
    const row = await fixture.store.collection(userKeysCollection).find('_id', 'late');
    expect(row).toMatchObject({ state: 'active', versions: [{ master_version: (await fixture.row.read()).current }] });
    await fixture.sealer.with('late', (keys) => keys.nameIndex('x'));
  });

  it('seals a value under the user key version that there still is', async () => {
    const said = await writerAround('insert', async () => {
      const rotator = new UserKeyRotator(
        fixture.store,
        fixture.masterKey,
        fixture.row,
        new SystemClock(),
        new RowWrapStore(),
      );
      await rotator.advance('a', 1);
      await rotator.drop('a', new Set([1]));
      await rotateAndRetire();
    });
    const envelope = ciphertext(Buffer.from(said.replace('done ', ''), 'hex'));
    const place = { ownerId: 'a', resourceType: 'record', resourceId: 'r', field: 'f' };
    expect(await fixture.sealer.with('a', (keys) => keys.open('records', place, envelope).toString())).toBe('x');
  });
}

describe('A replica that is stopped across a rotation and the end of the former version, and then goes on', () => {
  stoppedSuite(() => ({}));
});

describeWithParts(['secantus', 'openbao'], 'A replica on MongoDB and Transit that is stopped across the same', () => {
  let parts: { bao: Bao; secantus: Secantus };
  beforeAll(async () => {
    const [bao, secantus] = await Promise.all([startOpenBao(), startSecantus()]);
    parts = { bao, secantus };
  }, 60_000);
  afterAll(async () => {
    await Promise.all([parts.bao.stop(), parts.secantus.stop()]);
  });
  let databases = 0;
  stoppedSuite(() => ({
    mongo: { url: parts.secantus.url, dbName: `stopped-${(databases += 1)}` },
    masterKey: transitConfig(parts.bao),
  }));
});
