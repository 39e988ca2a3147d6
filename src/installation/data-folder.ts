import { access, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, StartupError } from '../kernel';

const FILE = 'installation.json';
/**
 * A container's root may be read-only if it holds neither store nor blobs; a marker is not needed
 * then.
 */
const UNWRITABLE = ['EROFS', 'EACCES', 'EPERM'];
/** Errors of link(2) if a writable file system has no hard links. */
const LINKLESS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export interface Marker {
  readonly installation_id: string;
  readonly store: string;
}

/**
 * Reads which installation the data folder belongs to.
 * The document is in the store: a start with another store (after a change of MONGODB_URL) would
 * find an empty one and silently create a new installation. The folder detects this.
 * @throws StartupError if the file is unreadable
 */
export function readMarker(folder: string): Promise<Marker | undefined> {
  const advice = 'restore it, or remove it if you know which store this folder goes with';
  return readOnce(join(folder, FILE), advice, (content) => {
    const marker = content as Partial<Marker> | null;
    return typeof marker?.installation_id === 'string' && typeof marker.store === 'string'
      ? (marker as Marker)
      : undefined;
  });
}

/**
 * Compares the folder with the content of `store`. The marker must be read before the document,
 * because another process writes document and marker in this order at its first start.
 * @throws StartupError
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
  throw new StartupError(
    `${folder} belongs to ${what}: start with that store, restore it, or give a new installation another DATA_DIR ` +
      '(docs/operations.md, "Moving an installation").',
  );
}

/** Called after the document is written. Does nothing if the folder has a marker. */
export const writeMarker = (folder: string, { installation_id, store }: Marker): Promise<void> =>
  writeOnce(folder, FILE, { installation_id, store });

/**
 * Permanent notes in the folder: the first start is complete; the id of the first administrator.
 */
export type Note = 'ready' | 'first_administrator';

const fileOf = (note: Note): string => `installation.${note}.json`;

/** File names of all notes, for a backup. */
export const NOTE_FILES: readonly string[] = [fileOf('ready'), fileOf('first_administrator')];

/**
 * Reads a note; undefined if there is none.
 * @throws StartupError if the file is unreadable
 */
export function noted(folder: string, note: Note): Promise<string | undefined> {
  return readOnce(join(folder, fileOf(note)), 'restore it from a backup', (content) => {
    const value = (content as { value?: unknown } | null)?.value;
    return typeof value === 'string' ? value : undefined;
  });
}

/** Does nothing if the note exists: the first value stays. */
export const writeNote = (folder: string, note: Note, value: string): Promise<void> =>
  writeOnce(folder, fileOf(note), { value });

/**
 * Removes the note if it has this value. A read-only folder has no notes, so nothing is removed
 * there.
 */
export async function removeNote(folder: string, note: Note, value: string): Promise<void> {
  if ((await noted(folder, note)) === value) await rm(join(folder, fileOf(note)), { force: true });
}

/**
 * Returns the value that `pick` finds in a JSON file; undefined if there is no file.
 * @throws StartupError if `pick` finds nothing
 */
async function readOnce<T>(
  path: string,
  advice: string,
  pick: (content: unknown) => T | undefined,
): Promise<T | undefined> {
  try {
    const found = pick(JSON.parse(await readFile(path, 'utf8')));
    if (found !== undefined) return found;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new StartupError(`${path} cannot be read: ${advice}.`);
}

async function writeOnce(folder: string, name: string, content: object): Promise<void> {
  const draft = join(folder, `${name}.${newId()}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(draft, `${JSON.stringify(content)}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await putInPlace(draft, join(folder, name));
  } catch (error) {
    if (!UNWRITABLE.includes(codeOf(error))) throw error;
  } finally {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

/**
 * A link creates the file completely or not at all, and never replaces the file of another process.
 */
async function putInPlace(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (!LINKLESS.includes(code)) throw error;
    // A file replaced by this rename was written at the same moment, by a process that read the
    // same document.
    if (!(await isThere(path))) await rename(draft, path);
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
