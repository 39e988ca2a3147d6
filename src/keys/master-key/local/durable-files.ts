import { type FileHandle, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './errno';

/** Owner only: what these files hold is sealed, and still nobody else's. */
export const OWNER_ONLY = 0o600;

/** Removes the files of a folder whose name is `wanted`. One that another process removes first is no fault. */
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
