import { Clock, DomainError, newId, StartupError } from '../kernel';
import { Collection, DuplicateKey, Store } from './collection';
import { defineCollection, Doc } from './definition';
import { checkMarker, noted, readMarker, writeMarker, writeNote } from './installation-marker';
import { engineOf, type InstalledSchema, notedStore, raised, refuseOlderRelease } from './schema';
import { update } from './update';

export { NOTE_FILES } from './installation-marker';

/** What an installation is bound to from its first start. Each is moved by an act of its own, never by another value at a start. */
export interface InstallationPlacements {
  readonly store: string;
  readonly masterKey: string;
  readonly userKeys: string;
  readonly blobs: string;
}

export interface InstallationDoc extends Doc, InstalledSchema {
  /** Names this installation among others; the data folder repeats it (installation-marker.ts). */
  readonly installation_id: string;
  /** The engine, with a note for releases that do not read `lowest_schema` (schema.ts). */
  readonly store: string;
  readonly master_key: string;
  /** Other homes that a start may name while the master key moves between them; missing otherwise. */
  readonly master_key_moving?: readonly string[];
  /** Where wrapped user keys lie; missing in documents from before there was a choice, which is `store`. */
  readonly user_keys?: string;
  /** Where they are being moved to, while they are. */
  readonly user_keys_to?: string;
  readonly blobs: string;
  /** Where they are being moved to, while they are. */
  readonly blobs_to?: string;
  /** Where they were before the last move. */
  readonly blobs_former?: string;
  /** The id of each medium that blobs lie on, by the name of its store (installation-blobs.ts). */
  readonly blob_locations?: Readonly<Record<string, string>>;
  /** Which PEPPER a start may have (installation-peppers.ts). */
  readonly pepper_checks?: readonly string[];
  readonly created_at: number;
  /** `opening` from the first moment on until the system keys are there; only then the row is sealed. */
  readonly state: 'opening' | 'ready';
  /** Who became administrator by being first; missing while nobody did. */
  readonly first_administrator?: string;
}

export const INSTALLATION = 'installation';

export const installationCollection = defineCollection<InstallationDoc>({
  name: 'installation',
  fields: {
    installation_id: 'string',
    store: 'string',
    master_key: 'string',
    master_key_moving: 'json',
    user_keys: 'string',
    user_keys_to: 'string',
    blobs: 'string',
    blobs_to: 'string',
    blobs_former: 'string',
    blob_locations: 'json',
    pepper_checks: 'json',
    created_at: 'time',
    state: 'string',
    first_administrator: 'string',
    schema: 'number',
    lowest_schema: 'number',
  },
  plaintext: [
    'installation_id',
    'store',
    'master_key',
    'master_key_moving',
    'user_keys',
    'user_keys_to',
    'blobs',
    'blobs_to',
    'blobs_former',
    'blob_locations',
    'pepper_checks',
    'created_at',
    'state',
    'first_administrator',
    'schema',
    'lowest_schema',
  ],
  tampered: 'refuse',
});

/** The same rows without looking at the seals: the pins say which master key home would have to open the integrity key. */
const unverifiedView = Object.freeze({ ...installationCollection, authenticated: false });

/** What stands in the store beside the installation document. Both are asked before keys are there: by count, not by content. */
export interface InstallationRemains {
  hasSystemKeys(): Promise<boolean>;
  hasUsers(): Promise<boolean>;
}

/**
 * The document as anyone who can write to the store may have left it: good for refusing a start, for nothing else. Only this file reads
 * it; everybody else reads the sealed one, by `installed`.
 */
export function readInstallation(store: Store): Promise<InstallationDoc | undefined> {
  return store.collection(unverifiedView).find('_id', INSTALLATION);
}

/** The document as this installation sealed it. `store` is the sealed one. @throws DomainError `integrity_failed` */
export async function installed(store: Store): Promise<InstallationDoc> {
  return present(await store.collection(installationCollection).find('_id', INSTALLATION));
}

/** @throws DomainError `integrity_failed` where there is none, once a start has seen one. */
export function present(found: InstallationDoc | undefined): InstallationDoc {
  if (found !== undefined) return found;
  throw new DomainError('integrity_failed', { detail: 'The installation document is missing.' });
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

const PINNED = [
  { field: 'store', pin: 'store', variable: 'the store' },
  { field: 'master_key', pin: 'masterKey', variable: 'MASTER_KEY' },
  { field: 'user_keys', pin: 'userKeys', variable: 'USER_KEY_STORE' },
  { field: 'blobs', pin: 'blobs', variable: 'BLOB_STORE' },
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
  for (const { field, pin, variable } of PINNED) {
    const value = found[field] ?? 'store';
    const pinned = field === 'store' ? engineOf(value) : value;
    if (pinned === pins[pin] || (pin === 'blobs' && isMoved(found, pins.blobs))) continue;
    if (pin === 'masterKey' && masterKeysOf(found).includes(pins[pin])) continue;
    // While they are moved, either is right.
    if (pin === 'userKeys' && found.user_keys_to === pins.userKeys) continue;
    throw new WrongPin(variable, pinned, pins[pin]);
  }
}

/** While blobs are moved, and until each process has been given the new value, their former and their new place are both right. */
const isMoved = (found: InstallationDoc, blobs: string): boolean =>
  blobs === found.blobs_to || blobs === found.blobs_former;

/** The homes of the master key that a start may name: one, and while it moves those that it moves between. */
export const masterKeysOf = ({ master_key, master_key_moving }: InstallationDoc): readonly string[] => {
  // Asked before the seal can be checked, so of anything that somebody may have put there.
  const moving = Array.isArray(master_key_moving) ? (master_key_moving as readonly string[]) : [];
  return [...new Set([master_key, ...moving])];
};

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

/** Notes in the data folder, where who writes to the store does not reach, what must not be undone there. */
export async function noteInstalled(dataDir: string, { first_administrator: first }: InstallationDoc): Promise<void> {
  await writeNote(dataDir, 'ready', 'true');
  if (first !== undefined) await writeNote(dataDir, 'first_administrator', first);
}

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
