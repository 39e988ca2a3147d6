import { mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

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

async function makeDurable(folder: string): Promise<void> {
  const first = (await mkdir(folder, { recursive: true, mode: FOLDER_MODE })) ?? folder;
  const above = dirname(resolve(first));
  for (let path = dirname(folder); path.length >= above.length; path = dirname(path)) {
    await syncFolder(path);
    if (path === dirname(path)) return;
  }
}

/** Makes the names in a folder durable: fsync of a file does not cover its name. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
