import { StartRefused } from '../../kernel';
import { MasterKey, MasterKeyRow } from '../master';
import { SystemKeys } from './system-keys';

/**
 * The keys' part of a start, between the two halves of the installation's. `fresh` is true for a first start that has not ended yet: only
 * then is anything made, and all of it is safe to repeat after a crash and to race with other processes.
 * @throws StartRefused; DomainError `kms_unavailable` where the key home does not answer.
 */
export async function openKeys(
  keys: { readonly masterKey: MasterKey; readonly systemKeys: SystemKeys; readonly row: MasterKeyRow },
  fresh: boolean,
): Promise<void> {
  const { masterKey, systemKeys, row } = keys;
  await masterKey.open({ create: fresh });
  const [missing] = await systemKeys.open();
  if (missing !== undefined) {
    if (!fresh) throw new StartRefused(`The system key ${missing} is missing: restore the store from a backup.`);
    await systemKeys.create();
  }
  if ((await row.find()) !== undefined) return;
  if (!fresh) throw new StartRefused('The master key row is missing: restore the store from a backup.');
  await row.create((await masterKey.state()).current);
}
