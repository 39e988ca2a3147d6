import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND } from '../../../kernel';

const POLL_MS = 10;
/**
 * How long an older release leaves a lock alone whose process it cannot see, and one that is not
 * written yet.
 */
const SEEN_AS_ALIVE_MS = 60 * SECOND;
const UNSIGNED_MS = 5 * SECOND;
/** To an older release this is a process of another host. */
const MARK = JSON.stringify({ pid: 0, host: 'keyring-by-link', started: '', boot: '' });

/**
 * Holds off writers of the first releases, which replace `keyring.json` under
 * `keyring.lock.<generation>.<attempt>`. Writers of this release do not exclude each other by it:
 * any number of them may share one mark. False where an older one kept its lock.
 */
export async function holdOffOlderWriters(dataDir: string, generation: number, patienceMs: number): Promise<boolean> {
  const until = performance.now() + patienceMs;
  for (let attempt = 1; ;) {
    const path = join(dataDir, `keyring.lock.${generation}.${attempt}`);
    if (await unless(['EEXIST'], () => makeMark(path))) return true;
    const found = await lockAt(path);
    if (found === 'ours') return true;
    if (found === 'left') attempt += 1;
    else if (performance.now() > until) return false;
    else await sleep(POLL_MS);
  }
}

/** Locks of generations that are settled mean nothing any more. */
export function removeLocks(dataDir: string, generation: number): Promise<void> {
  return removeFiles(dataDir, (name) => {
    const locked = /^keyring\.lock\.(\d+)\.\d+$/.exec(name)?.[1];
    return locked !== undefined && Number(locked) <= generation;
  });
}

async function makeMark(path: string): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await closed(file, () => file.writeFile(MARK));
  } catch (error) {
    await rm(path, { force: true }); // an empty one would keep everybody out for a while
    throw error;
  }
}

async function lockAt(path: string): Promise<'ours' | 'left' | 'held'> {
  try {
    const text = await readFile(path, 'utf8');
    if (text === MARK) return 'ours';
    const age = Math.abs(Date.now() - (await stat(path)).mtimeMs); // a clock may have been set back
    return age > (text === '' ? UNSIGNED_MS : SEEN_AS_ALIVE_MS) ? 'left' : 'held';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'held'; // given back in between: the next look finds the name free
    throw error;
  }
}

/** Owner only: what these files hold is sealed, and still nobody else's. */
export const OWNER_ONLY = 0o600;

/**
 * Removes the files of a folder whose name is `wanted`. One that another process removes first is
 * no fault.
 */
export async function removeFiles(folder: string, wanted: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(folder)) if (wanted(name)) await rm(join(folder, name), { force: true });
}

/** False where the act finds no such file or, for a link, one too many. */
export async function unless(codes: readonly string[], act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (codes.includes(errnoOf(error))) return false;
    throw error;
  }
}

export async function closed<T>(file: FileHandle, act: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await act(file);
  } finally {
    await file.close();
  }
}

/** The operating system's code of a failed call, as ENOENT. */
export function errnoOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : 'unknown';
}
