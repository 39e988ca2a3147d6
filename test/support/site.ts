import { MongoStore } from '../../src/store/mongo';
import { KvMasterKey, type KvConfig } from '../../src/keys/master-key/kv';
import { type TransitConfig, TransitMasterKey } from '../../src/keys/master-key/transit';
import { openVault } from '../../src/vault-client';
import { VaultWrapStore } from '../../src/keys/user-keys/wrap-store/in-vault';
import { type KeyFixture, type KeyHouseParts, openKeyFixture } from './key-fixture';

/** Where an installation of a test lies: what each of its processes is told, as JSON. */
export interface Site {
  /** Of the embedded store and the local keyring. */
  readonly folder: string;
  readonly mongo?: { readonly url: string; readonly dbName: string };
  /** Absent: the local keyring. */
  readonly masterKey?: TransitConfig | KvConfig;
  /** True: the wraps of user keys lie in Vault, at the mount of the master key. */
  readonly userKeysInVault?: boolean;
}

/** One replica of the installation in this process. */
export function openSite(site: Site, parts: KeyHouseParts = {}): Promise<KeyFixture> {
  return openKeyFixture(site.folder, { ...partsOf(site, parts.cacheMs ?? 300_000), ...parts });
}

function partsOf({ mongo, masterKey, userKeysInVault }: Site, maxAgeMs: number): KeyHouseParts {
  return {
    ...(mongo && { engine: new MongoStore(mongo) }),
    ...(masterKey?.home === 'transit' && { masterKey: new TransitMasterKey(masterKey) }),
    ...(masterKey?.home === 'kv' && { masterKey: new KvMasterKey(masterKey, { maxAgeMs }) }),
    ...(userKeysInVault && masterKey && { home: new VaultWrapStore(openVault(masterKey), 'kv') }),
  };
}
