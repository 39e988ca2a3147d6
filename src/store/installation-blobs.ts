import { StartupError } from '../kernel';
import { Store } from './collection';
import { InstallationDoc, installed } from './installation';
import { changeInstallation, unasked } from './installation-moves';

/** Where blobs lie, and where they are being moved to. */
export interface BlobPlacement {
  readonly home: string;
  readonly to: string | undefined;
  /** The id of each medium, by the name of its store: which folder, which bucket. Missing until a release that knows of ids opened it. */
  readonly locations: Readonly<Record<string, string>>;
}

const pinsOf = ({ blobs, blobs_to, blob_locations }: InstallationDoc): BlobPlacement => ({
  home: blobs,
  to: blobs_to,
  locations: blob_locations ?? {},
});

/** As it is now: every process asks at each new blob. `store` is the sealed one. */
export async function readBlobPlacement(store: Store): Promise<BlobPlacement> {
  return pinsOf(await installed(store));
}

/**
 * From here on new blobs go to `to`, at that location. May be repeated; a move that is under way may be turned round.
 * @throws StartupError while blobs are on their way to a third place, and where those in `to` lie at another location
 */
export function beginBlobMove(store: Store, to: string, location: string): Promise<BlobPlacement> {
  return changed(store, (doc) => {
    const recorded = doc.blob_locations?.[to];
    if ((doc.blobs === to || doc.blobs_to === to) && recorded !== undefined && recorded !== location)
      throw new StartupError(`Blobs lie in ${to} already, at another location than this environment names.`);
    const located = recorded === location ? doc : withLocation(doc, to, location);
    if (doc.blobs_to === to || (doc.blobs === to && doc.blobs_to === undefined))
      return located === doc ? undefined : located;
    if (doc.blobs_to === undefined) return { ...located, blobs_to: to };
    if (doc.blobs === to) return { ...located, blobs: doc.blobs_to, blobs_to: to };
    throw new StartupError(`Blobs are on their way from ${doc.blobs} to ${doc.blobs_to}: let that end first.`);
  });
}

/** Nothing is left at the former place: `to` is the home. Does nothing where the move was turned round meanwhile. */
export function endBlobMove(store: Store, to: string): Promise<BlobPlacement> {
  return changed(store, (doc) => {
    if (doc.blobs_to !== to) return undefined;
    const { blobs_to: _to, blob_locations: { [doc.blobs]: _former, ...locations } = {}, ...rest } = doc;
    return { ...rest, blobs: to, blobs_former: doc.blobs, blob_locations: locations };
  });
}

/** Records where `name` lies, unless that is recorded: of two processes with media of their own the first one decides. */
export function recordBlobLocation(store: Store, name: string, location: string): Promise<BlobPlacement> {
  return changed(store, (doc) =>
    doc.blob_locations?.[name] === undefined ? withLocation(doc, name, location) : undefined,
  );
}

/** Records it whatever is recorded. */
export function adoptBlobLocation(store: Store, name: string, location: string): Promise<BlobPlacement> {
  return changed(store, (doc) =>
    doc.blob_locations?.[name] === location ? undefined : withLocation(doc, name, location),
  );
}

const withLocation = (doc: InstallationDoc, name: string, location: string): InstallationDoc => ({
  ...doc,
  blob_locations: { ...doc.blob_locations, [name]: location },
});

async function changed(
  store: Store,
  change: (doc: InstallationDoc) => InstallationDoc | undefined,
): Promise<BlobPlacement> {
  return pinsOf(await changeInstallation(store, change, unasked));
}
