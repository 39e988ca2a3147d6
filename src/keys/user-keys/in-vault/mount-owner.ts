import { StartupError } from '../../../kernel';
import { type KvDocuments, unavailable } from '../../../vault-client';

/** No user name, which begins with a letter or a digit; under the path that the service's policy has for user keys anyway. */
export const MOUNT_MARK = 'user_keys/_installation';

/**
 * Binds a KV mount to the installation that comes first. Documents lie under user names there, so a second installation on the same mount
 * would end the keys of users who happen to have the same names. By check-and-set: of many at once one comes first, and all read it.
 * @throws StartupError where it belongs to another installation
 */
export async function bindMount(documents: KvDocuments, installationId: string): Promise<void> {
  const found = await documents.read(MOUNT_MARK);
  if (found.data === undefined) await documents.write(MOUNT_MARK, { installation_id: installationId }, found.version);
  const { data } = found.data === undefined ? await documents.read(MOUNT_MARK) : found;
  const owner = data?.['installation_id'];
  if (owner === undefined) throw unavailable('no mark of the mount');
  if (owner === installationId) return;
  throw new StartupError(
    `${documents.mount}/user_keys in Vault holds user keys of another installation: start with the store that goes with them, or give ` +
      'this installation a KV mount of its own (VAULT_KV_MOUNT; docs/operations.md, "Whose keys they are").',
  );
}
