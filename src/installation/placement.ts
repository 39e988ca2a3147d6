import { DomainError, failpoint, StartupError } from '../kernel';
import { type Store, update } from '../store';
import {
  INSTALLATION,
  installationCollection,
  type InstallationDoc,
  installed,
  present,
} from './installation.collection';

/** Where something is, and where it is moving to. Everything new goes to the target. */
export interface Placement<L extends string = string> {
  readonly current: L;
  readonly target?: L;
}

export const newestLocation = <L extends string>({ current, target }: Placement<L>): L => target ?? current;

/**
 * Something that can move while the service runs, as its fields of the installation document say.
 */
export interface Relocatable<L extends string> {
  readonly placement: (doc: InstallationDoc) => Placement<L>;
  /** Every location that a start may name. Must not rely on the document's MAC. */
  readonly admitted: (doc: InstallationDoc) => readonly string[];
  /** The document once a move to `to` has begun. A move that is running is reversed. */
  begun(doc: InstallationDoc, to: L): InstallationDoc;
  /**
   * The document once everything is at `to`; undefined where a later move has reversed this one.
   */
  ended(doc: InstallationDoc, to: L): InstallationDoc | undefined;
}

/** Where the wraps of user keys are: in the rows of the store, or in Vault. */
export type WrapLocation = 'store' | 'vault';

const wrapLocation = (name: string | undefined): WrapLocation => (name === 'vault' ? 'vault' : 'store');

export const WRAPS: Relocatable<WrapLocation> = {
  placement: ({ user_keys, user_keys_to }) => ({
    current: wrapLocation(user_keys),
    ...(user_keys_to !== undefined && { target: wrapLocation(user_keys_to) }),
  }),
  admitted: ({ user_keys = 'store', user_keys_to }) => named(user_keys, user_keys_to),
  begun(doc, to) {
    const { current, target } = beginMove('Wraps', WRAPS.placement(doc), to);
    return target === undefined ? doc : { ...doc, user_keys: current, user_keys_to: target };
  },
  ended({ user_keys_to, ...rest }, to) {
    return user_keys_to === to ? { ...rest, user_keys: to } : undefined;
  },
};

export const BLOBS: Relocatable<string> = {
  placement: ({ blobs, blobs_to }) => ({ current: blobs, ...(blobs_to !== undefined && { target: blobs_to }) }),
  // The former location too, until every process has the new value of BLOB_STORE.
  admitted: ({ blobs, blobs_to, blobs_former }) => named(blobs, blobs_to, blobs_former),
  begun(doc, to) {
    const { current, target } = beginMove('Blobs', BLOBS.placement(doc), to);
    return target === undefined ? doc : { ...doc, blobs: current, blobs_to: target };
  },
  ended({ blobs, blobs_to, blob_locations: { [blobs]: _former, ...locations } = {}, ...rest }, to) {
    if (blobs_to !== to) return undefined;
    return { ...rest, blobs: to, blobs_former: blobs, blob_locations: locations };
  },
};

/**
 * The master key: a failed move leaves wraps behind, so every backend since the last end is
 * admitted.
 */
export const MASTER_KEY: Relocatable<string> = {
  placement(doc) {
    const target = MASTER_KEY.admitted(doc).slice(1).at(-1);
    return { current: doc.master_key, ...(target !== undefined && { target }) };
  },
  admitted: ({ master_key, master_key_moving: moving }) =>
    named(master_key, ...(Array.isArray(moving) ? (moving as readonly string[]) : [])),
  begun(doc, to) {
    if (MASTER_KEY.admitted(doc).includes(to)) return doc;
    return { ...doc, master_key_moving: [...(doc.master_key_moving ?? []), to] };
  },
  /** @throws DomainError `conflict` where the document does not say that the key moves there. */
  ended(doc, to) {
    const { master_key_moving, ...rest } = doc;
    if (!MASTER_KEY.admitted(doc).includes(to)) throw notMoving();
    return doc.master_key === to && master_key_moving === undefined ? undefined : { ...rest, master_key: to };
  },
};

const named = (...names: readonly (string | undefined)[]): readonly string[] => [
  ...new Set(names.filter((name) => name !== undefined)),
];

function beginMove<L extends string>(what: string, placement: Placement<L>, to: L): Placement<L> {
  const { current, target } = placement;
  if (newestLocation(placement) === to) return placement;
  if (target !== undefined && current !== to)
    throw new StartupError(`${what} are on their way from ${current} to ${target}: let that end first.`);
  return { current: newestLocation(placement), target: to };
}

/**
 * Where it is now. Linearizable: a writer reads it before and after it stores something, and the
 * second read must not miss a move that has begun. `store` is the authenticated one, here and
 * below.
 */
export async function readPlacement<L extends string>(store: Store, what: Relocatable<L>): Promise<Placement<L>> {
  return what.placement(present(await store.collection(installationCollection).findLinearizable(INSTALLATION)));
}

/**
 * Begins a move to `to`, or reverses one: from now on everything new goes there. May be repeated.
 * Always a write, so that a late write of an earlier move fails.
 */
export async function beginRelocation<L extends string>(
  store: Store,
  what: Relocatable<L>,
  to: L,
  held: AssertLease = unasked,
): Promise<Placement<L>> {
  return what.placement(await changeInstallation(store, (doc) => what.begun(doc, to), held));
}

/**
 * Ends a move: a start has to name `to`. Changes nothing where a later move has reversed this one.
 */
export async function endRelocation<L extends string>(
  store: Store,
  what: Relocatable<L>,
  to: L,
  held: AssertLease = unasked,
): Promise<Placement<L>> {
  return what.placement(await changeInstallation(store, (doc) => what.ended(doc, to), held));
}

/**
 * Asked between a job's read of the document and its write.
 * @throws where the job is no longer held.
 */
export type AssertLease = () => Promise<void>;

/** For changes that no job makes. */
export const unasked: AssertLease = () => Promise.resolve();

/**
 * The one way in which a job writes the document: read it, assert the lease, write it at the
 * revision that was read. A later move writes the document too, once this job has ended, so a
 * process that slept before its write either wrote before that and is seen, or its write fails.
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

/**
 * Writes the document unchanged, at a new revision: a late write of an ended job fails from now on.
 */
export async function fenceInstallation(store: Store): Promise<void> {
  await changeInstallation(store, (doc) => doc, unasked);
}

const notMoving = (): DomainError =>
  new DomainError('conflict', { detail: 'The installation document does not say that the master key moves there.' });

/** Where blobs are, with the id of each medium that is recorded: which folder, which bucket. */
export interface BlobPlacement extends Placement {
  readonly locations: Readonly<Record<string, string>>;
}

const blobPlacement = (doc: InstallationDoc): BlobPlacement => ({
  ...BLOBS.placement(doc),
  locations: doc.blob_locations ?? {},
});

/** Every process reads it at each new blob. */
export async function readBlobPlacement(store: Store): Promise<BlobPlacement> {
  return blobPlacement(await installed(store));
}

/**
 * Begins a move of blobs to `to`, at that location.
 * @throws StartupError where a move to a third store runs, or blobs in `to` are at another
 * location.
 */
export async function beginBlobMove(store: Store, to: string, location: string): Promise<BlobPlacement> {
  return changeBlobs(store, (doc) => {
    const recorded = doc.blob_locations?.[to];
    const { current, target } = BLOBS.placement(doc);
    if ((current === to || target === to) && recorded !== undefined && recorded !== location)
      throw new StartupError(`Blobs lie in ${to} already, at another location than this environment names.`);
    const begun = BLOBS.begun(doc, to);
    return recorded === location ? begun : withLocation(begun, to, location);
  });
}

export const endBlobMove = (store: Store, to: string): Promise<BlobPlacement> =>
  changeBlobs(store, (doc) => BLOBS.ended(doc, to));

/** Records where `name` is, unless that is recorded: of two processes the first one decides. */
export const recordBlobLocation = (store: Store, name: string, location: string): Promise<BlobPlacement> =>
  changeBlobs(store, (doc) =>
    doc.blob_locations?.[name] === undefined ? withLocation(doc, name, location) : undefined,
  );

/** Records where `name` is, whatever is recorded. */
export const adoptBlobLocation = (store: Store, name: string, location: string): Promise<BlobPlacement> =>
  changeBlobs(store, (doc) =>
    doc.blob_locations?.[name] === location ? undefined : withLocation(doc, name, location),
  );

const withLocation = (doc: InstallationDoc, name: string, location: string): InstallationDoc => ({
  ...doc,
  blob_locations: { ...doc.blob_locations, [name]: location },
});

const changeBlobs = async (
  store: Store,
  change: (doc: InstallationDoc) => InstallationDoc | undefined,
): Promise<BlobPlacement> => blobPlacement(await changeInstallation(store, change, unasked));
