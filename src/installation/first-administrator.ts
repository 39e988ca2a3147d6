import { type Store, update } from '../store';
import { noted, removeNote, writeNote } from './data-folder';
import { INSTALLATION, installationCollection, type InstallationDoc, present } from './installation.collection';

/**
 * Makes `userId` the first administrator if nobody is. One conditional write: of many first users at the same time one gets true, and
 * gets it again when asked again. `store` is the sealed one: who can write to the database cannot free the place by a change. A document
 * from before the claim, put back, does not free it either where the data folder knows of the claim. `onNew` is called where
 * this call makes the claim: only that caller may give it back.
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
 * Gives back the claim of `userId`, whose account is gone. The file goes first: the document alone still keeps the claim, and the
 * next start writes the file again from it.
 */
export async function giveBackFirstAdministrator(store: Store, userId: string, dataDir: string): Promise<void> {
  await removeNote(dataDir, 'first_administrator', userId);
  await update(store.collection(installationCollection), INSTALLATION, (installation) => {
    const { first_administrator: holder, ...rest } = installation;
    return holder === userId ? rest : undefined;
  });
}

/** Notes in the data folder, where who writes to the store does not reach, what must not be undone there. */
export async function noteInstalled(dataDir: string, { first_administrator: first }: InstallationDoc): Promise<void> {
  await writeNote(dataDir, 'ready', 'true');
  if (first !== undefined) await writeNote(dataDir, 'first_administrator', first);
}
