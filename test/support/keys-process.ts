import { armFailpoint, plaintext, SystemClock } from '../../src/kernel';
import { MasterKeyRow } from '../../src/keys/master-key';
import type { VaultConfig } from '../../src/config';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { openVault } from '../../src/vault-client';
import { openKeys, SystemKeys, systemKeysCollection } from '../../src/keys/system-keys';
import { VaultWrapStore } from '../../src/keys/user-keys/wrap-store/in-vault';
import { AuthenticatedStore } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { type OwnerKeys, UserKeyRotator } from '../../src/keys/user-keys';
import { type KeyFixtures, moveMasterKey, openKeyFixtures, PausedMasterKey, ROOT_KEY } from './keys';

// A program for kill tests: does one act of the key fixtures in a folder, armed with a crash point.
// With the JSON of a connection the wraps of user keys lie in Vault.
const [folder, act, failpoint, vault] = process.argv.slice(2);

const home = vault === undefined ? {} : { home: new VaultWrapStore(openVault(JSON.parse(vault) as VaultConfig), 'kv') };

const acts: Readonly<Record<string, () => Promise<void>>> = {
  'fresh start': async () => {
    const engine = new EmbeddedStore(`${folder!}/system`, new SystemClock());
    const masterKey = new LocalMasterKey(folder!, ROOT_KEY);
    const systemKeys = new SystemKeys(engine, masterKey);
    const row = new MasterKeyRow(new AuthenticatedStore(engine, systemKeys, { onForgedRow: () => undefined }));
    armFailpoint(failpoint);
    await openKeys({ masterKey, systemKeys, row }, true);
    await systemKeys.endFirstStart();
    await systemKeys.rewrapAll(await masterKey.rotate(1));
  },
  'start after an upgrade': async () => {
    const engine = new EmbeddedStore(`${folder!}/system`, new SystemClock());
    const masterKey = new LocalMasterKey(folder!, ROOT_KEY);
    const systemKeys = new SystemKeys(engine, masterKey);
    const row = new MasterKeyRow(new AuthenticatedStore(engine, systemKeys, { onForgedRow: () => undefined }));
    await openKeys({ masterKey, systemKeys, row }, true);
    // As an installation from before that key has it.
    await engine.collection(systemKeysCollection).remove('receipts');
    armFailpoint(failpoint);
    await openKeys({ masterKey, systemKeys: new SystemKeys(engine, masterKey), row }, false);
  },
  create: async () => {
    const fixtures = await openKeyFixtures(folder!, home);
    armFailpoint(failpoint);
    await fixtures.userKeys.create('alice', 'alice');
  },
  'create while the master key moves': async () => {
    const masterKey = new PausedMasterKey(folder!, ROOT_KEY);
    const fixtures = await openKeyFixtures(folder!, { masterKey, ...home });
    masterKey.afterWrap = () => moveMasterKey(fixtures);
    armFailpoint(failpoint);
    await fixtures.userKeys.create('alice', 'alice');
  },
  destroy: async () => {
    const fixtures = await openKeyFixtures(folder!, home);
    armFailpoint(failpoint);
    await fixtures.userKeys.destroy('alice');
  },
  rewrap: async () => {
    const fixtures = await openKeyFixtures(folder!, home);
    armFailpoint(failpoint);
    await fixtures.rewrapper.rewrapBatch((await fixtures.row.read()).current, 2);
  },
  'rotate user key': async () => {
    const { rotator, strays } = await openKeyFixtures(folder!, home);
    armFailpoint(failpoint);
    await rotator.advance('alice', 1);
    await rotator.drop('alice', new Set([1]));
    await strays.remove('alice');
  },
  insert: async () => insert(await openKeyFixtures(folder!, home), () => Promise.resolve()),
  'insert while the user key moves': async () => {
    const fixtures = await openKeyFixtures(folder!, home);
    const { store, masterKey, row } = fixtures;
    const rotator = new UserKeyRotator(store, masterKey, row, new SystemClock(), fixtures.home);
    await insert(fixtures, async () => {
      await rotator.advance('alice', 1);
    });
  },
};

/**
 * Stores a value of Alice in three steps, of which each says that it came; `meanwhile` happens
 * after the first has read her key.
 */
async function insert(fixtures: KeyFixtures, meanwhile: () => Promise<void>): Promise<void> {
  armFailpoint(failpoint);
  const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
  const say = (step: string, line: string): string => {
    process.stdout.write(`${step}\n`);
    return line;
  };
  const sealed = (keys: OwnerKeys): string => keys.seal('records', place, plaintext(Buffer.from('x'))).toString('hex');
  await fixtures.sealer.insert('alice', {
    pending: async (keys) => {
      await meanwhile();
      return say('pending', sealed(keys));
    },
    again: (_row, keys) => Promise.resolve(say('again', sealed(keys))),
    activate: (row) => Promise.resolve(say('activated', row)),
  });
}

acts[act!]!().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
);
