import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DomainError, ErrorCode, isDomainError, newId, syncFolder } from '../../kernel';
import { OwnerMark } from '../owner';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The `code` of a system call's error, as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function codeOf(errno: string | undefined): ErrorCode {
  if (errno === 'ENOENT') return 'not_found';
  return errno !== undefined && FULL.has(errno) ? 'storage_full' : 'store_unavailable';
}

/**
 * Runs file system calls: their errors come out as the port's codes, the system's text stays in
 * `cause`.
 */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new DomainError(codeOf(errnoOf(error)), { cause: error });
  }
}

const FOLDER_MODE = 0o700;

/**
 * Makes folders, each once a process, and makes their names durable before anything is put into
 * them.
 */
export class Folders {
  readonly #made = new Map<string, Promise<void>>();

  /**
   * Also fsyncs the parent where the folder was there before: its maker, perhaps another process,
   * may not have come to it yet.
   */
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

/**
 * Node's recursive mkdir says ENOENT where the disk has no inode left; the plain one says what it
 * is.
 */
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

/** A mark as a file of the root, whose name no fan-out folder has. */
export class OwnerFile implements OwnerMark {
  readonly #path: string;

  /**
   * `drafts` makes a folder on the same file system that is swept of what killed processes left.
   * Called before a write only.
   */
  constructor(
    private readonly root: string,
    private readonly name: string,
    private readonly drafts: () => Promise<string>,
  ) {
    this.#path = join(root, name);
  }

  read(): Promise<string | undefined> {
    return translated(() => readFile(this.#path, 'utf8')).then(
      (text) => text.trim(),
      (error: unknown) => {
        if (isDomainError(error, 'not_found')) return undefined;
        throw error;
      },
    );
  }

  async claim(text: string): Promise<void> {
    const draft = join(await this.drafts(), `${this.name}-${newId()}`);
    try {
      await translated(() => writeFile(draft, `${text}\n`, { flag: 'wx', mode: 0o600, flush: true }));
      // A link shows the whole file or none, and does not replace one that another process made
      // first.
      await translated(() => link(draft, this.#path).catch(ifThere));
      await translated(() => syncFolder(this.root));
    } finally {
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }
}

function ifThere(error: unknown): void {
  if (errnoOf(error) !== 'EEXIST') throw error;
}
