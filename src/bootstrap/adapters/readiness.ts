import { BlobStore } from '../../blobs';
import { Readiness } from '../../kernel';
import { MasterKey } from '../../keys/master-key';
import { WrapStore } from '../../keys/user-keys';
import { Store } from '../../store';

/** The probes of /readyz but that of the audit log, which registers its own. */
export function readinessOf(store: Store, masterKey: MasterKey, userKeys: WrapStore, blobs: BlobStore): Readiness {
  const readiness = new Readiness();
  readiness.register({ name: 'store', check: () => store.ping() });
  readiness.register({
    name: 'kms',
    check: async () => {
      await Promise.all([masterKey.ping(), userKeys.ping()]);
    },
  });
  readiness.register({ name: 'blobs', check: () => blobs.ping() });
  return readiness;
}
