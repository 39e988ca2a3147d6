import { StartupError } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../master-key';
import { SystemKeys } from './system-keys';
import { VITAL_SYSTEM_KEYS } from './system-keys.collection';

/**
 * The keys' part of a start, between the two halves of the installation's. `fresh` is true for a first start that has not ended yet: only
 * then is anything made that data depends on, and all of it is safe to repeat after a crash and to race with other processes.
 * @throws StartupError; DomainError `kms_unavailable` where the key home does not answer.
 */
export async function openKeys(
  keys: { readonly masterKey: MasterKey; readonly systemKeys: SystemKeys; readonly row: MasterKeyRow },
  fresh: boolean,
): Promise<void> {
  const { masterKey, systemKeys, row } = keys;
  await masterKey.open({ create: fresh });
  const missing = await systemKeys.open();
  const vital = missing.find((name) => VITAL_SYSTEM_KEYS.includes(name));
  if (vital !== undefined && !fresh) {
    throw new StartupError(`The system key ${vital} is missing: restore the store from a backup.`);
  }
  if (missing.length > 0 && fresh) await systemKeys.create();
  if ((await row.find()) === undefined) {
    if (!fresh) throw new StartupError('The master key row is missing: restore the store from a backup.');
    await row.create((await masterKey.state()).current, masterKey.home);
  }
  await systemKeys.supplement(row);
}
