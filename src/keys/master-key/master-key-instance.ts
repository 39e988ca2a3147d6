import { join } from 'node:path';

/**
 * Which master key it is. An installation has one for its data; another service of it may have one
 * of its own, with its own row, versions and backends, so that neither can open what the other
 * wrapped.
 */
export interface MasterKeyInstance {
  readonly name: string;
  /** The `_id` of its row in `master_key`. */
  readonly rowId: string;
  /** Its document in a KV mount. */
  readonly kvPath: string;
  /** Its key in a Transit mount. `configured`: the name in VAULT_KEY. */
  readonly transitKey: (configured: string) => string;
  /** The folder of its keyring. */
  readonly keyringFolder: (dataDir: string) => string;
}

/**
 * The master key of the data. Its names are those of every installation before there were others.
 */
export const DATA_MASTER_KEY: MasterKeyInstance = {
  name: 'data',
  rowId: 'master',
  kvPath: 'master_key',
  transitKey: (configured) => configured,
  keyringFolder: (dataDir) => dataDir,
};

const NAME = /^[a-z][a-z0-9]{0,31}$/;

/**
 * A further master key. Its names follow from `name` alone and must never change.
 * @throws TypeError for a name that is not free, or would be another one in some backend.
 */
export function masterKeyInstance(name: string): MasterKeyInstance {
  if (!NAME.test(name) || name === DATA_MASTER_KEY.name || name === DATA_MASTER_KEY.rowId)
    throw new TypeError(`${name} is no name for a further master key`);
  return {
    name,
    rowId: name,
    kvPath: `${DATA_MASTER_KEY.kvPath}_${name}`,
    transitKey: (configured) => `${configured}-${name}`,
    keyringFolder: (dataDir) => join(dataDir, 'master-keys', name),
  };
}
