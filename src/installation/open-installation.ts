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

/** What stands in the store beside the installation document. Both are asked before keys are there: by count, not by content. */
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
 * The first half of a start, before any key is opened: refuses what does not fit together, and writes the document at the very first
 * start. It makes nothing anew beside what is there already.
 * @throws StartupError
 */
export async function openInstallation(store: Store, start: InstallationStart): Promise<InstallationDoc> {
  const { pins, dataDir, clock } = start;
  const marker = await readMarker(dataDir);
  // Before the document, for the same reason: it is written behind it.
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
 * The document, if the rest of the store goes with it. Another replica may be at its first start right now and writes document, keys,
 * users in this order: so the document is read on both sides of the questions, and the users are asked for before the keys.
 */
async function readTogether(store: Store, remains: InstallationRemains): Promise<InstallationDoc | undefined> {
  const before = await readInstallation(store);
  // First of all: what a newer release has written may look like a gap or a forgery to this one.
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

/** Writes the document in state `opening`, or finds that another process just did. */
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

/** What a start names, with every location that the document admits: the first one is the present one. */
const PLACED = [
  { pin: 'store', variable: 'the store', admitted: ({ store }: InstallationDoc) => [engineOf(store)] },
  { pin: 'masterKey', variable: 'MASTER_KEY', admitted: MASTER_KEY.admitted },
  { pin: 'userKeys', variable: 'USER_KEY_STORE', admitted: WRAPS.admitted },
  { pin: 'blobs', variable: 'BLOB_STORE', admitted: BLOBS.admitted },
] as const;

/** A start names another part than the installation was set up with. */
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

/** @throws WrongPin where the configuration names other parts than the installation was set up with. */
export function checkInstallation(found: InstallationDoc, pins: InstallationPlacements): void {
  for (const { pin, variable, admitted } of PLACED) {
    const [present = '', ...others] = admitted(found);
    if (pins[pin] !== present && !others.includes(pins[pin])) throw new WrongPin(variable, present, pins[pin]);
  }
}

/** What the first half of a start found out, for the second one. */
export interface OpenedInstallation {
  /** The id that the keys of this start are bound to. */
  readonly installationId: string;
  /** Whether the wrap of the integrity key says that a first start has ended before. */
  readonly wasReady: boolean;
  readonly clock: Clock;
  /** That of the blob store, for a first start. */
  readonly location?: string | undefined;
}

/**
 * The second half of a start, once the integrity key is open: seals the document at the first start and checks its seal and its pins
 * at each later one. `store` is the sealed one.
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
    // Loses to another replica that was as far: then the document is sealed, and is checked below like any other.
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

/** Says that this release serves, and with `lowest` that no older one does from now on. @throws StartupError where itself is older */
export async function raiseSchema(store: Store, lowest?: number): Promise<InstallationDoc> {
  const doc = await update(store.collection(installationCollection), INSTALLATION, (found) => {
    refuseOlderRelease(found);
    const numbers = raised(found, lowest);
    return numbers && { ...found, ...numbers, store: notedStore(engineOf(found.store)) };
  });
  if (doc === undefined) throw gap('its document is missing');
  return doc;
}

/** Of the unsealed document the revision alone is taken: whatever else stands there may have been put there. */
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
