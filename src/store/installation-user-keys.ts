import { Store } from './collection';
import { INSTALLATION, InstallationDoc, installationCollection, present } from './installation';
import { changeInstallation, AssertLease, unasked } from './installation-moves';

/** Where wrapped user keys lie: in their rows, or in Vault. */
export type WrapLocation = 'store' | 'vault';

/** Where they lie, and where they are being moved to. */
export interface WrapPlacement {
  readonly home: WrapLocation;
  readonly to: WrapLocation | undefined;
}

/** Where those of new owners go. */
export const newestLocation = ({ home, to }: WrapPlacement): WrapLocation => to ?? home;

const placeOf = (name: string | undefined): WrapLocation => (name === 'vault' ? 'vault' : 'store');

const pinsOf = ({ user_keys, user_keys_to }: InstallationDoc): WrapPlacement => ({
  home: placeOf(user_keys),
  to: user_keys_to === undefined ? undefined : placeOf(user_keys_to),
});

/**
 * As it is now, linearizable: asked for each new owner before and after the owner's row is stored, and the second answer must not miss a
 * move that has begun. `store` is the sealed one, here and below.
 */
export async function readWrapPlacement(store: Store): Promise<WrapPlacement> {
  return pinsOf(present(await store.collection(installationCollection).findLinearizable(INSTALLATION)));
}

/**
 * From here on the wraps of new owners go to `to`. Safe to repeat; a move that is under way is turned round. Always a write, which fences
 * what an earlier move may still want to write.
 */
export async function beginUserKeyMove(
  store: Store,
  to: WrapLocation,
  held: AssertLease = unasked,
): Promise<WrapPlacement> {
  const begun = (doc: InstallationDoc): InstallationDoc => {
    const newest = newestLocation(pinsOf(doc));
    return newest === to ? doc : { ...doc, user_keys: newest, user_keys_to: to };
  };
  return pinsOf(await changeInstallation(store, begun, held));
}

/** All of them are there: from now on a start has to name `to`. Does nothing where the move was turned round meanwhile. */
export async function endUserKeyMove(
  store: Store,
  to: WrapLocation,
  held: AssertLease = unasked,
): Promise<WrapPlacement> {
  const ended = (doc: InstallationDoc): InstallationDoc | undefined => {
    const { user_keys_to, ...rest } = doc;
    return user_keys_to === to ? { ...rest, user_keys: to } : undefined;
  };
  return pinsOf(await changeInstallation(store, ended, held));
}
