import { DomainError, StartRefused } from '../kernel';
import { Store } from './collection';
import { INSTALLATION, InstallationDoc, installationCollection } from './installation';
import { changeInstallation, unasked } from './installation-moves';

/** Where blobs lie, and where they are being moved to. */
export interface BlobPins {
  readonly home: string;
  readonly to: string | undefined;
}

const pinsOf = ({ blobs, blobs_to }: InstallationDoc): BlobPins => ({ home: blobs, to: blobs_to });

/** As it is now: every process asks at each new blob. `store` is the sealed one. */
export async function readBlobPins(store: Store): Promise<BlobPins> {
  const found = await store.collection(installationCollection).find('_id', INSTALLATION);
  if (found === undefined) throw new DomainError('integrity_failed', { detail: 'The installation document is gone.' });
  return pinsOf(found);
}

/**
 * From here on new blobs go to `to`. May be repeated; a move that is under way may be turned round.
 * @throws StartRefused while blobs are on their way to a third place
 */
export function beginBlobMove(store: Store, to: string): Promise<BlobPins> {
  return changed(store, (doc) => {
    if (doc.blobs_to === to || (doc.blobs === to && doc.blobs_to === undefined)) return undefined;
    if (doc.blobs_to === undefined) return { ...doc, blobs_to: to };
    if (doc.blobs === to) return { ...doc, blobs: doc.blobs_to, blobs_to: to };
    throw new StartRefused(`Blobs are on their way from ${doc.blobs} to ${doc.blobs_to}: let that end first.`);
  });
}

/** Nothing is left at the former place: `to` is the home. Does nothing where the move was turned round meanwhile. */
export function endBlobMove(store: Store, to: string): Promise<BlobPins> {
  return changed(store, (doc) => {
    if (doc.blobs_to !== to) return undefined;
    const { blobs_to: _to, ...rest } = doc;
    return { ...rest, blobs: to, blobs_former: doc.blobs };
  });
}

async function changed(store: Store, change: (doc: InstallationDoc) => InstallationDoc | undefined): Promise<BlobPins> {
  return pinsOf(await changeInstallation(store, change, unasked));
}
