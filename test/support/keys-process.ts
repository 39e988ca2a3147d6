import { armFailpoint, plaintext, SystemClock } from '../../src/kernel';
import { MasterKeyRow } from '../../src/keys/master';
import type { VaultConfig } from '../../src/config';
import { LocalMasterKey } from '../../src/keys/master/local';
import { openVault } from '../../src/keys/master/vault';
import { openKeys, SystemKeys } from '../../src/keys/system';
import { VaultUserKeyHome } from '../../src/keys/user/in-vault';
import { SealedStore } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { moveMasterKey, openKeyHouses, PausedMasterKey, ROOT_KEY } from './keys';

// A program for kill tests: does one act of the key houses in a folder, armed with a crash point. With the JSON of a connection the wraps
// of user keys lie in Vault.
const [folder, act, failpoint, vault] = process.argv.slice(2);

const home =
  vault === undefined ? {} : { home: new VaultUserKeyHome(openVault(JSON.parse(vault) as VaultConfig), 'kv') };

const acts: Readonly<Record<string, () => Promise<void>>> = {
  'fresh start': async () => {
    const engine = new EmbeddedStore(`${folder!}/system`, new SystemClock());
    const masterKey = new LocalMasterKey(folder!, ROOT_KEY);
    const systemKeys = new SystemKeys(engine, masterKey);
    const row = new MasterKeyRow(new SealedStore(engine, systemKeys, { onForgedRow: () => undefined }));
    armFailpoint(failpoint);
    await openKeys({ masterKey, systemKeys, row }, true);
    await systemKeys.rewrapAll(await masterKey.rotate(1));
  },
  create: async () => {
    const houses = await openKeyHouses(folder!, home);
    armFailpoint(failpoint);
    await houses.userKeys.create('alice', 'alice');
  },
  'create while the master key moves': async () => {
    const masterKey = new PausedMasterKey(folder!, ROOT_KEY);
    const houses = await openKeyHouses(folder!, { masterKey, ...home });
    masterKey.afterWrap = () => moveMasterKey(houses);
    armFailpoint(failpoint);
    await houses.userKeys.create('alice', 'alice');
  },
  destroy: async () => {
    const houses = await openKeyHouses(folder!, home);
    armFailpoint(failpoint);
    await houses.userKeys.destroy('alice');
  },
  rewrap: async () => {
    const houses = await openKeyHouses(folder!, home);
    armFailpoint(failpoint);
    await houses.rewrapper.rewrapBatch((await houses.row.read()).current, 2);
  },
  'rotate user key': async () => {
    const { rotator, strays } = await openKeyHouses(folder!, home);
    armFailpoint(failpoint);
    await rotator.advance('alice', 1);
    await rotator.drop('alice', new Set([1]));
    await strays.remove('alice');
  },
  insert: async () => {
    const houses = await openKeyHouses(folder!, home);
    armFailpoint(failpoint);
    const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
    const say = (step: string, line: string): Promise<string> => {
      process.stdout.write(`${step}\n`);
      return Promise.resolve(line);
    };
    await houses.sealer.insert('alice', {
      pending: (keys) => say('pending', keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex')),
      again: (row) => say('again', row),
      activate: (row) => say('activated', row),
    });
  },
};

acts[act!]!().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
);
