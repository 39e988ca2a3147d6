import { type Clock, DomainError, newId, StartupError } from '../kernel';
import {
  type Collection,
  DuplicateKey,
  engineOf,
  notedStore,
  raised,
  refuseOlderRelease,
  type Store,
  update,
} from '../store';
import { checkMarker, noted, readMarker, writeMarker } from './data-folder';
import {
  INSTALLATION,
  installationCollection,
  type InstallationDoc,
  type InstallationPlacements,
  readInstallation,
  unverifiedView,
} from './installation.collection';
import { BLOBS, MASTER_KEY, WRAPS } from './placement';

/**
 * Other contents of the store. Both checks run before keys are available: by count, not by content.
 */
export interface InstallationRemains {
  hasSystemKeys(): Promise<boolean>;
  hasUsers(): Promise<boolean>;
}

export interface InstallationStart {
  readonly pins: InstallationPlacements;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly remains: InstallationRemains;
}

/**
 * First half of a start, before any key is opened: rejects inconsistencies, and writes the document
 * at the first start. Creates nothing next to existing data.
 * @throws StartupError
 */
export async function openInstallation(store: Store, start: InstallationStart): Promise<InstallationDoc> {
  const { pins, dataDir, clock } = start;
  const marker = await readMarker(dataDir);
  // Read before the document, for the same reason as the marker: it is written after the document.
  const wasReady = (await noted(dataDir, 'ready')) !== undefined;
  const present = await readTogether(store, start.remains);
  if (wasReady && present?.state === 'opening') throw gap('its document was put back to a first start');
  checkMarker(dataDir, marker, pins.store, present);
  const found = present ?? (await createInstallation(store, pins, clock));
  checkInstallation(found, pins);
  await writeMarker(dataDir, { installation_id: found.installation_id, store: pins.store });
  return found;
}

/**
 * Reads the document and checks that the rest of the store matches.
 * Another replica may be at its first start and writes document, keys and users in this order. The
 * document is therefore read before and after the checks, and users are checked before keys.
 */
async function readTogether(store: Store, remains: InstallationRemains): Promise<InstallationDoc | undefined> {
  const before = await readInstallation(store);
  // First, because data of a newer release may look like a gap or a forgery to this one.
  refuseOlderRelease(before);
  const hasUsers = await remains.hasUsers();
  const hasSystemKeys = await remains.hasSystemKeys();
  const after = await readInstallation(store);
  refuseOlderRelease(after);
  if (after === undefined && (hasSystemKeys || hasUsers)) throw gap('its document is missing');
  if (!hasSystemKeys && (before?.state === 'ready' || hasUsers)) throw gap('its system keys are missing');
  if (before?.state === 'opening' && after?.state === 'opening' && hasUsers) throw gap('its first start never ended');
  return after;
}

/** Writes the document in state `opening`, or returns that of a concurrent process. */
export async function createInstallation(
  store: Store,
  pins: InstallationPlacements,
  clock: Clock,
): Promise<InstallationDoc> {
  try {
    return await store.collection(unverifiedView).insert({
      _id: INSTALLATION,
      installation_id: newId(),
      store: notedStore(pins.store),
      master_key: pins.masterKey,
      user_keys: pins.userKeys,
      blobs: pins.blobs,
      created_at: clock.now(),
      state: 'opening',
      ...raised({}),
    });
  } catch (error) {
    const other = error instanceof DuplicateKey ? await readInstallation(store) : undefined;
    if (other === undefined) throw error;
    return other;
  }
}

/**
 * What a start names, with every location that the document admits: the first one is the present
 * one.
 */
const PLACED = [
  { pin: 'store', variable: 'the store', admitted: ({ store }: InstallationDoc) => [engineOf(store)] },
  { pin: 'masterKey', variable: 'MASTER_KEY', admitted: MASTER_KEY.admitted },
  { pin: 'userKeys', variable: 'USER_KEY_STORE', admitted: WRAPS.admitted },
  { pin: 'blobs', variable: 'BLOB_STORE', admitted: BLOBS.admitted },
] as const;

/** A start names another backend than the installation has. */
export class WrongPin extends StartupError {
  constructor(
    readonly variable: string,
    readonly pinned: string,
    asked: string,
  ) {
    super(
      `This installation was set up with ${variable} ${pinned}, this start asks for ${asked}: start it with ` +
        `${pinned}, or move it first (docs/operations.md, "Moving an installation").`,
    );
  }
}

/** @throws WrongPin if the configuration names other backends than the installation has */
export function checkInstallation(found: InstallationDoc, pins: InstallationPlacements): void {
  for (const { pin, variable, admitted } of PLACED) {
    const [present = '', ...others] = admitted(found);
    if (pins[pin] !== present && !others.includes(pins[pin])) throw new WrongPin(variable, present, pins[pin]);
  }
}

/** Results of the first half of a start, for the second half. */
export interface OpenedInstallation {
  /** The id to which the keys of this start are bound. */
  readonly installationId: string;
  /** True if the wrap of the integrity key records an earlier complete start. */
  readonly wasReady: boolean;
  readonly clock: Clock;
  /** Location of the blob store, for a first start. */
  readonly location?: string | undefined;
}

/**
 * Second half of a start, after the integrity key is opened: adds the MAC at the first start, and
 * verifies MAC and placements at later ones. `store` is the authenticated one.
 * @throws StartupError
 */
export async function completeInstallation(
  store: Store,
  pins: InstallationPlacements,
  opened: OpenedInstallation,
): Promise<InstallationDoc> {
  const open = await readInstallation(store);
  refuseOlderRelease(open);
  if (open?.state === 'opening') {
    if (opened.wasReady) throw gap('its document was put back to a first start');
    checkInstallation(open, pins);
    // Fails if another replica was faster: the document then has its MAC and is verified below like
    // any other.
    await store.collection(installationCollection).replace(firstDocument(open.rev, pins, opened));
  }
  const sealed = await readSealed(store.collection(installationCollection));
  checkInstallation(sealed, pins);
  return raiseSchema(store);
}

const located = (
  { blobs }: InstallationPlacements,
  location: string | undefined,
): Pick<InstallationDoc, 'blob_locations'> => (location === undefined ? {} : { blob_locations: { [blobs]: location } });

/**
 * Records that this release serves and, with `lowest`, that no older one does from now on.
 * @throws StartupError if this release itself is too old
 */
export async function raiseSchema(store: Store, lowest?: number): Promise<InstallationDoc> {
  const doc = await update(store.collection(installationCollection), INSTALLATION, (found) => {
    refuseOlderRelease(found);
    const numbers = raised(found, lowest);
    return numbers && { ...found, ...numbers, store: notedStore(engineOf(found.store)) };
  });
  if (doc === undefined) throw gap('its document is missing');
  return doc;
}

/**
 * Uses only the revision of the unverified document, because any other value in it may be forged.
 */
const firstDocument = (rev: number, pins: InstallationPlacements, opened: OpenedInstallation): InstallationDoc => ({
  _id: INSTALLATION,
  rev,
  installation_id: opened.installationId,
  store: notedStore(pins.store),
  master_key: pins.masterKey,
  user_keys: pins.userKeys,
  blobs: pins.blobs,
  created_at: opened.clock.now(),
  state: 'ready',
  ...located(pins, opened.location),
  ...raised({}),
});

async function readSealed(installations: Collection<InstallationDoc>): Promise<InstallationDoc> {
  const sealed = await installations.find('_id', INSTALLATION).catch((error: unknown) => {
    throw error instanceof DomainError && error.code === 'integrity_failed' ? gap('its document was changed') : error;
  });
  if (sealed === undefined) throw gap('its document is missing');
  return sealed;
}

const gap = (what: string): StartupError =>
  new StartupError(
    `The store holds an installation, but ${what}: restore the store from a backup (docs/operations.md, "Restoring"). ` +
      'Nothing has been made anew, because that would lose what the old keys open.',
  );
