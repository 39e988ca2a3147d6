import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDomainError, newId, syncFolder } from '../../kernel';
import { OwnerMark } from '../owner';
import { errnoOf, translated } from './faults';

/** A mark as a file of the root, whose name no fan-out folder has. */
export class OwnerFile implements OwnerMark {
  readonly #path: string;

  /** `drafts` makes a folder on the same file system that is swept of what killed processes left. Called before a write only. */
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
      // A link shows the whole file or none, and does not replace one that another process made first.
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
