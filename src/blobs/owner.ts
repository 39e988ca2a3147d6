import { DomainError, StartRefused } from '../kernel';

/** Where a medium says which installation its blobs belong to, beside the blobs. No blob id, so no listing shows it. */
export const OWNER_NAME = '.installation';

/** What a medium has under that name. */
export interface OwnerMark {
  read(): Promise<string | undefined>;
  /** Does nothing where there is one already: of many at once one comes first, and all read it. */
  claim(installationId: string): Promise<void>;
}

/**
 * Binds a medium to the installation that comes first. To any other, each blob on it is one that nobody names: its sweep would remove them
 * all, by a database name that was mistyped or a copy of the variables. `place` names the medium for the operator.
 * @throws StartRefused where it belongs to another installation
 */
export async function bindTo(installationId: string, mark: OwnerMark, place: string): Promise<void> {
  if ((await mark.read()) === undefined) await mark.claim(installationId);
  const owner = await mark.read();
  if (owner === undefined) throw new DomainError('store_unavailable');
  if (owner === installationId) return;
  throw new StartRefused(
    `${place} holds blobs of another installation: start with the database that goes with them, or give this installation a place of ` +
      'its own (docs/operations.md, "Blob stores").',
  );
}
