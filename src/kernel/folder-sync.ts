import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/**
 * Systems and file systems that have no fsync of folders keep names in another way, or not; no
 * caller can do anything about it.
 */
const UNKNOWN = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);
/**
 * Windows refuses to open a folder as a file, or to flush it. Elsewhere the same codes are faults.
 */
const UNKNOWN_ON_WINDOWS = new Set(['EISDIR', 'EPERM', 'EACCES']);

/**
 * Whether a failed fsync of a folder says that there is no such thing here, and not that it failed.
 */
export function lacksFolderSync(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== 'string') return false;
  return UNKNOWN.has(code) || (platform === 'win32' && UNKNOWN_ON_WINDOWS.has(code));
}

/**
 * Makes the names in a folder durable: fsync of a file does not cover its name. Passes over systems
 * that have no fsync of folders.
 */
export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, 'r');
    await folder.sync();
  } catch (error) {
    if (!lacksFolderSync(error)) throw error;
  } finally {
    await folder?.close();
  }
}

/** The same before anything else runs. */
export function syncFolderNow(path: string): void {
  let folder: number | undefined;
  try {
    folder = openSync(path, 'r');
    fsyncSync(folder);
  } catch (error) {
    if (!lacksFolderSync(error)) throw error;
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}
