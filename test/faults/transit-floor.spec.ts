import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KeyFixture, openKeyFixture } from '../support/key-fixture';
import { TransitMasterKey } from '../../src/keys/master-key/transit';
import { openVault, type VaultSession } from '../../src/vault-client';
import { userKeysCollection } from '../../src/keys/user-keys';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { transitConfig } from '../support/transit';

useRealDeadlines();

const KEY = 'transit/keys/coffer-master';

/**
 * A session whose next write of the key's configuration waits until it is let go: a process that
 * sleeps right before it.
 */
function sleeper(bao: Bao): { readonly session: VaultSession; readonly asleep: Promise<void>; wake(): void } {
  const session = openVault(transitConfig(bao));
  const request = session.request.bind(session);
  let [fellAsleep, wake] = [() => {}, () => {}];
  const asleep = new Promise<void>((resolve) => (fellAsleep = resolve));
  const awake = new Promise<void>((resolve) => (wake = resolve));
  session.request = async (call) => {
    if (call.path === `${KEY}/config`) {
      fellAsleep();
      await awake;
    }
    return request(call);
  };
  return { session, asleep, wake };
}

describeWithPart('openbao', 'The floor of a Transit key', () => {
  let bao: Bao;
  let folder: string;
  let fixtures: KeyFixture[];

  beforeEach(async () => {
    bao = await startOpenBao();
    folder = await mkdtemp(join(tmpdir(), 'coffer-floor-'));
    fixtures = [];
  }, 60_000);
  afterEach(async () => {
    for (const fixture of fixtures) await fixture.close();
    await bao.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const open = async (session?: VaultSession): Promise<KeyFixture> => {
    const masterKey = new TransitMasterKey(transitConfig(bao), session);
    const fixture = await openKeyFixture(folder, { masterKey, cacheMs: 0 });
    fixtures.push(fixture);
    return fixture;
  };
  const minimum = async (): Promise<number> =>
    (await bao.request<{ data: { min_decryption_version: number } }>('GET', KEY)).data.min_decryption_version;

  it('is what the last of two retires said, although one of them slept', async () => {
    const slept = sleeper(bao);
    const [slow, quick] = [await open(slept.session), await open()];
    await quick.userKeys.create('a', 'a');
    for (let round = 0; round < 3; round += 1) await quick.rotations.rotateMasterKey('admin');
    const late = slow.retirement.retire(1);
    await slept.asleep;
    await quick.retirement.retire(3);
    expect(await minimum()).toBe(4);
    slept.wake();
    await late;
    expect(await minimum()).toBe(4);
    await quick.sealer.with('a', (keys) => keys.nameIndex('x'));
  }, 60_000);

  it('is raised again by the next rotation where the sleeper died over it, and not where a row needs what lies below', async () => {
    const fixture = await open();
    await fixture.userKeys.create('a', 'a');
    const before = (await fixture.store.collection(userKeysCollection).find('_id', 'a'))!;
    for (let round = 0; round < 2; round += 1) await fixture.rotations.rotateMasterKey('admin');
    await fixture.retirement.retire(2);
    await bao.request('POST', `${KEY}/config`, { min_decryption_version: 2 });
    await fixture.rotations.rotateMasterKey('admin');
    expect(await minimum()).toBe(3);
    // An operator opens a former version again, for a row that came from a backup and does not
    // open.
    await bao.request('POST', `${KEY}/config`, { min_decryption_version: 1 });
    const rows = fixture.store.collection(userKeysCollection);
    const spoilt = before.versions.map((entry) => ({ ...entry, wrapped: `${entry.wrapped.slice(0, -8)}AAAAAAA=` }));
    await rows.replace({ ...before, versions: spoilt, rev: (await rows.find('_id', 'a'))!.rev });
    expect(await fixture.rotations.rotateMasterKey('admin')).toMatchObject({ state: 'done', failed: 1 });
    expect(await minimum()).toBe(1);
  }, 60_000);
});
