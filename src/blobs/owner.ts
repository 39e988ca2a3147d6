import { DomainError, StartupError, newId } from '../kernel';

/**
 * Where a medium says which installation its blobs belong to, beside the blobs. No blob id, so no
 * listing shows it.
 */
export const OWNER_NAME = '.installation';
/**
 * Where a medium says which one it is: a random id that the installation document repeats. Two
 * folders of one installation have the same owner, and only one of them has its blobs.
 */
export const LOCATION_NAME = '.location';

/** What a medium has under one of those names. */
export interface OwnerMark {
  read(): Promise<string | undefined>;
  /** Does nothing where there is one already: of many at once one comes first, and all read it. */
  claim(text: string): Promise<void>;
}

export interface MediumMarks {
  readonly owner: OwnerMark;
  readonly location: OwnerMark;
}

/**
 * What a medium has to show: the location id that the installation recorded; at least its owner's
 * mark, for installations that recorded none yet; or nothing, where it may be new.
 */
export type ExpectedMedium = { readonly location: string } | 'owned' | 'new';

export interface Binding {
  readonly installationId: string;
  readonly expected: ExpectedMedium;
  /** Names the medium for the operator. */
  readonly place: string;
}

/**
 * Binds a medium to the installation that comes first, and resolves with its location id. To any
 * other installation each blob on it is one that nobody names: its sweep would remove them all, by
 * a database name that was mistyped or a copy of the variables. A medium without the marks that the
 * installation left is an unmounted volume or an emptied one, and gets no new ones.
 * @throws StartupError where it belongs to another installation, or is not the one that the blobs
 * lie on
 */
export async function bindTo({ installationId, expected, place }: Binding, marks: MediumMarks): Promise<string> {
  const owner = await marks.owner.read();
  if (owner !== undefined && owner !== installationId) throw ofAnother(place);
  if (expected === 'owned' && owner === undefined) throw missingBlobs(place);
  if (typeof expected === 'object' && (await marks.location.read()) !== expected.location) throw missingBlobs(place);
  if (owner === undefined && (await claimed(marks.owner, installationId)) !== installationId) throw ofAnother(place);
  return (await marks.location.read()) ?? claimed(marks.location, newId());
}

async function claimed(mark: OwnerMark, text: string): Promise<string> {
  await mark.claim(text);
  const found = await mark.read();
  if (found === undefined) throw new DomainError('store_unavailable');
  return found;
}

const ofAnother = (place: string): StartupError =>
  new StartupError(
    `${place} holds blobs of another installation: start with the database that goes with them, or give this installation a place of ` +
      'its own (docs/operations.md, "Blob stores").',
  );

export const missingBlobs = (place: string): StartupError =>
  new StartupError(
    `${place} is not where the blobs of this installation lie, or they are gone: mount the volume or name the bucket that has them ` +
      '(all processes share one), restore it, or, where they are lost for good, run `npm run blobs -- adopt` ' +
      '(docs/operations.md, "Blob stores"). Nothing has been made anew.',
  );
