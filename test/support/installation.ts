import { SystemClock } from '../../src/kernel';
import {
  completeInstallation,
  type InstallationDoc,
  type InstallationPlacements,
  type OpenedInstallation,
  readInstallation,
} from '../../src/installation';
import type { Store } from '../../src/store';

/** The second half of a start that found the document as it stands there now. */
export async function complete(
  store: Store,
  pins: InstallationPlacements,
  opened: Partial<OpenedInstallation> = {},
): Promise<InstallationDoc> {
  const { installation_id: installationId = '' } = (await readInstallation(store)) ?? {};
  return completeInstallation(store, pins, { installationId, wasReady: false, clock: new SystemClock(), ...opened });
}
