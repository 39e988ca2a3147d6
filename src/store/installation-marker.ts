import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, StartRefused } from '../kernel';

const FILE = 'installation.json';
/** A container's root may be read-only when neither store nor blobs are kept in it: then there is nothing to confuse either. */
const UNWRITABLE = ['EROFS', 'EACCES', 'EPERM'];

export interface Marker {
  readonly installation_id: string;
  readonly store: string;
}

/**
 * What the data folder says about the installation that it belongs to. The document itself lies in the store, so a start with another
 * store, by a MONGODB_URL that came or went, finds an empty one and would quietly begin anew: the folder still knows better.
 * @throws StartRefused where it cannot be read
 */
export async function readMarker(folder: string): Promise<Marker | undefined> {
  const path = join(folder, FILE);
  try {
    const marker = JSON.parse(await readFile(path, 'utf8')) as Partial<Marker> | null;
    if (typeof marker?.installation_id === 'string' && typeof marker.store === 'string') return marker as Marker;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new StartRefused(
    `${path} cannot be read: restore it, or remove it if you know which store this folder goes with.`,
  );
}

/**
 * Compares the folder with what `store` holds. The marker must have been read before the document: another process writes them the
 * other way round at its first start.
 * @throws StartRefused
 */
export function checkMarker(
  folder: string,
  marker: Marker | undefined,
  store: string,
  found: Marker | undefined,
): void {
  if (marker === undefined || marker.installation_id === found?.installation_id) return;
  const what =
    marker.store === store ? 'another installation than the store holds' : `an installation on ${marker.store}`;
  throw new StartRefused(
    `${folder} belongs to ${what}: start with that store, restore it, or give a new installation another DATA_DIR ` +
      '(docs/operations.md, "Moving an installation").',
  );
}

/** Called once the document is there. Does nothing where the folder is marked already. */
export async function writeMarker(folder: string, installation: Marker): Promise<void> {
  const { installation_id, store } = installation;
  const draft = join(folder, `${FILE}.${newId()}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(draft, `${JSON.stringify({ installation_id, store })}\n`, { flag: 'wx', mode: 0o600, flush: true });
    // A link shows the whole file or none, and does not replace one that another process made first.
    await link(draft, join(folder, FILE));
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'EEXIST' && !UNWRITABLE.includes(code)) throw error;
  } finally {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
