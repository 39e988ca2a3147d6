import { StartupError } from '../kernel';

/**
 * Schema number of this release. A release that changes stored fields, indexes or formats raises it
 * by one.
 * Releases up to 0.1.0 of November 2026 have no number and count as 1.
 */
export const SCHEMA = 2;
/** The lowest schema that may serve on the same store at the same time as this release. */
export const SERVES_BESIDE = 2;
export const FIRST_SCHEMA = 1;

/**
 * Release numbers in the installation document. Missing until a release with a schema has opened
 * the document.
 */
export interface InstalledSchema {
  /** The highest schema that has served this installation. */
  readonly schema?: number;
  /** The lowest schema that may serve it. Never decreases. */
  readonly lowest_schema?: number;
}

/**
 * True if the document admits this release. The document is not verified here: a release that is
 * too old cannot verify it. A forged number gives a writer to the store no more than removing the
 * document.
 */
export function admits(found: InstalledSchema, schema = SCHEMA): boolean {
  const lowest: unknown = found.lowest_schema;
  return typeof lowest !== 'number' || lowest <= schema;
}

/** @throws StartupError if the installation needs a newer release */
export function refuseOlderRelease(found: InstalledSchema | undefined, schema = SCHEMA): void {
  if (found === undefined || admits(found, schema)) return;
  throw new StartupError(
    `This installation needs a newer release of Coffer: it was upgraded to schema ${String(found.lowest_schema)}, and this ` +
      `release has schema ${schema}. Start the newer release (docs/upgrading.md, "Rollback"). Nothing was changed.`,
  );
}

/** The new numbers when this release serves; undefined if they do not change. */
export function raised(found: InstalledSchema, lowest = SERVES_BESIDE): Required<InstalledSchema> | undefined {
  const { schema = FIRST_SCHEMA, lowest_schema = FIRST_SCHEMA } = found;
  const next = { schema: Math.max(schema, SCHEMA), lowest_schema: Math.max(lowest_schema, lowest) };
  return next.schema === schema && next.lowest_schema === lowest_schema ? undefined : next;
}

/**
 * Releases without a schema number compare the name of the store before they verify any MAC, and
 * print it. A document that they must not serve therefore has this note after the name: they reject
 * the start with the reason, instead of advising a restore.
 */
const NOTE = ` of a newer Coffer (schema ${SERVES_BESIDE} or later, docs/upgrading.md)`;

export const notedStore = (engine: string): string => `${engine}${NOTE}`;

/** The name of the engine in a document's `store`. */
export const engineOf = (store: string): string => store.split(' ', 1)[0] ?? store;
