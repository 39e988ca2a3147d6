import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenStore, temporaryAuthenticatedStore } from '../../../test/support/sealed-store';
import { newKey } from '../../crypto';
import { LocalMasterKey } from './local';
import { DATA_MASTER_KEY, MasterKeyRow, masterKeyInstance, wrapContext } from '.';

const ROOT_KEY = 'a root key of thirty-two characters';

describe('A further master key of an installation', () => {
  const other = masterKeyInstance('kacls');
  let folder: string;
  let open: OpenStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-instances-'));
    open = await temporaryAuthenticatedStore();
  });
  afterEach(async () => {
    await open.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('has names of its own, and that of the data has the names that it always had', () => {
    const names = ({ rowId, kvPath, transitKey, keyringFolder }: typeof other): string[] => [
      rowId,
      kvPath,
      transitKey('coffer-master'),
      keyringFolder('/data'),
    ];
    expect(names(DATA_MASTER_KEY)).toEqual(['master', 'master_key', 'coffer-master', '/data']);
    expect(names(other)).toEqual(['kacls', 'master_key_kacls', 'coffer-master-kacls', '/data/master-keys/kacls']);
  });

  it.each(['data', 'master', '', 'a/b', '..', 'UPPER', 'a_b'])('is not named %j', (name) => {
    expect(() => masterKeyInstance(name)).toThrow(TypeError);
  });

  it('opens nothing that the one of the data wrapped, and the other way round', async () => {
    const [data, kacls] = [new LocalMasterKey(folder, ROOT_KEY), new LocalMasterKey(folder, ROOT_KEY, other)];
    await data.open();
    await kacls.open();
    const context = wrapContext('user-key', 'owner', 1);
    const [wrapped] = await data.wrap(1, [{ key: newKey(), context }]);
    expect(await kacls.unwrap([{ wrapped: wrapped!, context }])).toMatchObject([{ ok: false }]);
    expect(await data.unwrap([{ wrapped: wrapped!, context }])).toMatchObject([{ ok: true }]);
    await Promise.all([data.close(), kacls.close()]);
  });

  it('is rotated by itself', async () => {
    const [data, kacls] = [new LocalMasterKey(folder, ROOT_KEY), new LocalMasterKey(folder, ROOT_KEY, other)];
    await data.open();
    await kacls.open();
    expect([await kacls.rotate(1), (await data.state()).current]).toEqual([2, 1]);
    expect(await readdir(folder)).toContain('keyring.json');
    const [dataRow, kaclsRow] = [new MasterKeyRow(open.store), new MasterKeyRow(open.store, other)];
    await dataRow.create(1, 'local');
    await kaclsRow.advance(await kaclsRow.create(1, 'local'), 2);
    expect([(await dataRow.read()).current, (await kaclsRow.read()).current]).toEqual([1, 2]);
    await Promise.all([data.close(), kacls.close()]);
  });

  it('is not made beside data that it belongs to, where its keyring is missing', async () => {
    const kacls = new LocalMasterKey(folder, ROOT_KEY, other);
    await expect(kacls.open({ create: false })).rejects.toThrow('is missing');
    expect(await readdir(folder)).toEqual([]);
  });
});
