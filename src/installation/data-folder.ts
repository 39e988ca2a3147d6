import { access, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, StartupError } from '../kernel';

const FILE = 'installation.json';
/** A container's root may be read-only when neither store nor blobs are kept in it: then there is nothing to confuse either. */
const UNWRITABLE = ['EROFS', 'EACCES', 'EPERM'];
/** What link(2) answers where the file system of a folder that can be written has no hard links. */
const LINKLESS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export interface Marker {
  readonly installation_id: string;
  readonly store: string;
}

/**
 * What the data folder says about the installation that it belongs to. The document itself lies in the store, so a start with another
 * store, by a MONGODB_URL that came or went, finds an empty one and would quietly begin anew: the folder still knows better.
 * @throws StartupError where it cannot be read
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
 * Compares the folder with what `store` holds. The marker must have been read before the document: another process writes them the
 * other way round at its first start.
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

/** Called once the document is there. Does nothing where the folder is marked already. */
export const writeMarker = (folder: string, { installation_id, store }: Marker): Promise<void> =>
  writeOnce(folder, FILE, { installation_id, store });

/** What the folder knows for good: that a first start has ended, and who became administrator by being first. */
export type Note = 'ready' | 'first_administrator';

const fileOf = (note: Note): string => `installation.${note}.json`;

/** The names of all notes, for a backup. */
export const NOTE_FILES: readonly string[] = [fileOf('ready'), fileOf('first_administrator')];

/** Undefined where the folder does not know. @throws StartupError where it cannot be read */
export function noted(folder: string, note: Note): Promise<string | undefined> {
  return readOnce(join(folder, fileOf(note)), 'restore it from a backup', (content) => {
    const value = (content as { value?: unknown } | null)?.value;
    return typeof value === 'string' ? value : undefined;
  });
}

/** Does nothing where the folder has the note already: what stands there first stays. */
export const writeNote = (folder: string, note: Note, value: string): Promise<void> =>
  writeOnce(folder, fileOf(note), { value });

/** Removes the note where it has this value. Nothing is removed from a folder that cannot be written, which has no note either. */
export async function removeNote(folder: string, note: Note, value: string): Promise<void> {
  if ((await noted(folder, note)) === value) await rm(join(folder, fileOf(note)), { force: true });
}

/** What `pick` finds in the JSON of a file; undefined where there is no file. @throws StartupError where it finds nothing */
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

/** A link shows the whole file or none, and does not replace one that another process made first. */
async function putInPlace(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (!LINKLESS.includes(code)) throw error;
    // What this may replace was written at the same moment, by a process that read the same document.
    if (!(await isThere(path))) await rename(draft, path);
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
