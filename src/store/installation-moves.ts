import { DomainError, failpoint } from '../kernel';
import { Store } from './collection';
import { INSTALLATION, InstallationDoc, installationCollection, masterKeysOf, present } from './installation';
import { update } from './update';

/**
 * Asked by each write of a job to this document, after the document has been read and before it is written. @throws where the job is no
 * longer held.
 */
export type AssertLease = () => Promise<void>;

/**
 * The one form in which a job writes the document: read it, ask whether the job is still held, write it at the revision that was read. The
 * job that turns this one round writes the document as well (`fenceInstallation`), after it has ended this one. So a process that slept
 * between its question and its write either wrote before that, and is seen, or finds another revision and asks again.
 * @throws DomainError `integrity_failed` where the document is gone; what `held` throws.
 */
export async function changeInstallation(
  store: Store,
  change: (doc: InstallationDoc) => InstallationDoc | undefined,
  held: AssertLease,
): Promise<InstallationDoc> {
  const doc = await update(store.collection(installationCollection), INSTALLATION, async (found) => {
    await held();
    failpoint('installation.asked');
    return change(found);
  });
  return present(doc);
}

/** Writes the document as it is, at a new revision: what an ended job was about to write to it does not hold from here on. */
export async function fenceInstallation(store: Store): Promise<void> {
  await changeInstallation(store, (doc) => doc, unasked);
}

/** For acts that no job does. */
export const unasked: AssertLease = () => Promise.resolve();

/**
 * The master key begins to move to `home`. Safe to repeat; always a write, which fences what an earlier move may still want to write.
 * `store` is the sealed one, here and below.
 */
export async function admitMasterKey(store: Store, home: string, held: AssertLease): Promise<void> {
  await changeInstallation(
    store,
    (found) =>
      masterKeysOf(found).includes(home)
        ? found
        : { ...found, master_key_moving: [...(found.master_key_moving ?? []), home] },
    held,
  );
}

/**
 * The master key has moved to `home`, and each start from now on has to name it. Safe to repeat.
 * @throws DomainError `conflict` where the document does not say that the key moves there.
 */
export async function settleMasterKey(store: Store, home: string, held: AssertLease): Promise<void> {
  await changeInstallation(
    store,
    (found) => {
      const { master_key_moving, ...rest } = found;
      if (!masterKeysOf(found).includes(home)) throw notMoving();
      return found.master_key === home && master_key_moving === undefined ? undefined : { ...rest, master_key: home };
    },
    held,
  );
}

const notMoving = (): DomainError =>
  new DomainError('conflict', { detail: 'The installation document names no move of the master key to this backend.' });
