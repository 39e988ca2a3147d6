import { DomainError } from '../kernel';
import { defineCollection, type Doc, type InstalledSchema, type Store, plain } from '../store';

/**
 * What a start names and an installation keeps from its first start on; each is moved explicitly.
 */
export interface InstallationPlacements {
  readonly store: string;
  readonly masterKey: string;
  readonly userKeys: string;
  readonly blobs: string;
}

export interface InstallationDoc extends Doc, InstalledSchema {
  /** Names this installation; the data folder repeats it (data-folder.ts). */
  readonly installation_id: string;
  /** The engine, with a note for releases that do not read `lowest_schema` (store/schema.ts). */
  readonly store: string;
  readonly master_key: string;
  /** Further backends that a start may name while the master key moves; absent otherwise. */
  readonly master_key_moving?: readonly string[];
  /** Where the wraps of user keys are; absent in old documents, which means `store`. */
  readonly user_keys?: string;
  /** Where they are moving to, if they are. */
  readonly user_keys_to?: string;
  readonly blobs: string;
  /** Where they are moving to, if they are. */
  readonly blobs_to?: string;
  /** Location before the last move of blobs. */
  readonly blobs_former?: string;
  /** The id of each medium that blobs are on, by the name of its store. */
  readonly blob_locations?: Readonly<Record<string, string>>;
  /** Which PEPPER a start may have (peppers.ts). */
  readonly pepper_checks?: readonly string[];
  readonly created_at: number;
  /** `opening` until the system keys exist; only then the row has a MAC. */
  readonly state: 'opening' | 'ready';
  /** Who became administrator by being first; absent while nobody did. */
  readonly first_administrator?: string;
}

export const INSTALLATION = 'installation';

export const installationCollection = defineCollection<InstallationDoc>({
  name: 'installation',
  fields: {
    installation_id: plain.string,
    store: plain.string,
    master_key: plain.string,
    master_key_moving: plain.json,
    user_keys: plain.string,
    user_keys_to: plain.string,
    blobs: plain.string,
    blobs_to: plain.string,
    blobs_former: plain.string,
    blob_locations: plain.json,
    pepper_checks: plain.json,
    created_at: plain.time,
    state: plain.string,
    first_administrator: plain.string,
    schema: plain.number,
    lowest_schema: plain.number,
  },
  tampered: 'refuse',
});

/** The same row without its MAC: it names the backend that has to open the integrity key. */
export const unverifiedView = Object.freeze({ ...installationCollection, authenticated: false });

/**
 * The document as anyone who can write to the store may have left it. A start may be refused
 * because of it, and nothing else may be decided; everything else reads `installed`.
 */
export function readInstallation(store: Store): Promise<InstallationDoc | undefined> {
  return store.collection(unverifiedView).find('_id', INSTALLATION);
}

/**
 * The document with its MAC verified. `store` is the authenticated one.
 * @throws DomainError `integrity_failed`
 */
export async function installed(store: Store): Promise<InstallationDoc> {
  return present(await store.collection(installationCollection).find('_id', INSTALLATION));
}

/**
 * @throws DomainError `integrity_failed` where the document is missing after a start has seen it.
 */
export function present(found: InstallationDoc | undefined): InstallationDoc {
  if (found !== undefined) return found;
  throw new DomainError('integrity_failed', { detail: 'The installation document is gone.' });
}
