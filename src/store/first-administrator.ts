import { INSTALLATION, installationCollection } from './installation';
import { removeNote } from './installation-marker';
import { Store } from './collection';
import { update } from './update';

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
