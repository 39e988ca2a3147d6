import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { syncFolder } from '../../kernel';
import { errnoOf } from './faults';

const FOLDER_MODE = 0o700;

/** Makes folders, each once a process, and makes their names durable before anything is put into them. */
export class Folders {
  readonly #made = new Map<string, Promise<void>>();

  /** Also fsyncs the parent where the folder was there before: its maker, perhaps another process, may not have come to it yet. */
  make(path: string): Promise<void> {
    const folder = resolve(path);
    const known = this.#made.get(folder);
    if (known !== undefined) return known;
    const made = makeDurable(folder);
    this.#made.set(folder, made);
    made.catch(() => this.#made.delete(folder));
    return made;
  }
}

/** Node's recursive mkdir says ENOENT where the disk has no inode left; the plain one says what it is. */
async function makeAll(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(folder, { mode: FOLDER_MODE });
    return folder;
  }
}

async function makeDurable(folder: string): Promise<void> {
  const first = (await makeAll(folder)) ?? folder;
  const above = dirname(resolve(first));
  for (let path = dirname(folder); path.length >= above.length; path = dirname(path)) {
    await syncFolder(path);
    if (path === dirname(path)) return;
  }
}
