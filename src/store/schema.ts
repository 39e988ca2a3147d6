import { StartupError } from '../kernel';

/**
 * Counts the releases that changed what is stored: fields, indexes or formats. A release that changes them raises it by one. The
 * releases up to 0.1.0 of November 2026 have no number in their code and count as the first.
 */
export const SCHEMA = 2;
/** The lowest schema whose processes may serve beside this release, on the same store. */
export const SERVES_BESIDE = 2;
export const FIRST_SCHEMA = 1;

/** What the installation document says about releases. Missing in a document that no release with a schema has opened yet. */
export interface InstalledSchema {
  /** The highest schema that has served this installation. */
  readonly schema?: number;
  /** The lowest schema that may serve it. Never goes down. */
  readonly lowest_schema?: number;
}

/**
 * True where the document admits this release. Asked of documents whose seal nobody has checked: a release that is too old cannot
 * check it, and who can write to the store gains no more by this number than by a removal of the document.
 */
export function admits(found: InstalledSchema, schema = SCHEMA): boolean {
  const lowest: unknown = found.lowest_schema;
  return typeof lowest !== 'number' || lowest <= schema;
}

/** @throws StartupError where the installation needs a newer release. */
export function refuseOlderRelease(found: InstalledSchema | undefined, schema = SCHEMA): void {
  if (found === undefined || admits(found, schema)) return;
  throw new StartupError(
    `This installation needs a newer release of Coffer: it was upgraded to schema ${String(found.lowest_schema)}, and this ` +
      `release has schema ${schema}. Start the newer release (docs/upgrading.md, "Rollback"). Nothing was changed.`,
  );
}

/** The document's numbers once this release serves it, or undefined where they stand already. */
export function raised(found: InstalledSchema, lowest = SERVES_BESIDE): Required<InstalledSchema> | undefined {
  const { schema = FIRST_SCHEMA, lowest_schema = FIRST_SCHEMA } = found;
  const next = { schema: Math.max(schema, SCHEMA), lowest_schema: Math.max(lowest_schema, lowest) };
  return next.schema === schema && next.lowest_schema === lowest_schema ? undefined : next;
}

/**
 * Releases without a schema number compare the name of the store before they check any seal, and print it. So a document that they
 * must not serve has this behind the name: they refuse the start and name the reason, instead of a restore from a backup.
 */
const NOTE = ` of a newer Coffer (schema ${SERVES_BESIDE} or later, docs/upgrading.md)`;

export const notedStore = (engine: string): string => `${engine}${NOTE}`;

/** The name of the engine in a document's `store`. */
export const engineOf = (store: string): string => store.split(' ', 1)[0] ?? store;
