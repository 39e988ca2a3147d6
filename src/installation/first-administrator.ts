import { type Store, update } from '../store';
import { noted, removeNote, writeNote } from './data-folder';
import { INSTALLATION, installationCollection, type InstallationDoc, present } from './installation.collection';

/**
 * Makes `userId` the first administrator if there is none. One compare-and-set: of many concurrent
 * first users one gets true, and gets it again on a repeated call.
 * `store` is the authenticated one, so a writer to the database cannot clear the claim by a change.
 * A restored older document does not clear it either if the data folder has the note. `onNew` is
 * called if this call makes the claim: only that caller may release it.
 */
export async function claimFirstAdministrator(
  store: Store,
  userId: string,
  dataDir: string,
  onNew: () => void = () => undefined,
): Promise<boolean> {
  const first = await noted(dataDir, 'first_administrator');
  if (first !== undefined && first !== userId) return false;
  const claimed = await update(store.collection(installationCollection), INSTALLATION, (installation) => {
    if (installation.first_administrator !== undefined) return undefined;
    if (first === undefined) onNew();
    return { ...installation, first_administrator: userId };
  });
  if (present(claimed).first_administrator !== userId) return false;
  await writeNote(dataDir, 'first_administrator', userId);
  return true;
}

/**
 * Releases the claim of `userId`, whose account is gone. Removes the file first: the document alone
 * still holds the claim, and the next start recreates the file from it.
 */
export async function giveBackFirstAdministrator(store: Store, userId: string, dataDir: string): Promise<void> {
  await removeNote(dataDir, 'first_administrator', userId);
  await update(store.collection(installationCollection), INSTALLATION, (installation) => {
    const { first_administrator: holder, ...rest } = installation;
    return holder === userId ? rest : undefined;
  });
}

/**
 * Copies facts that must not be reverted into the data folder, which a writer to the store cannot
 * change.
 */
export async function noteInstalled(dataDir: string, { first_administrator: first }: InstallationDoc): Promise<void> {
  await writeNote(dataDir, 'ready', 'true');
  if (first !== undefined) await writeNote(dataDir, 'first_administrator', first);
}
