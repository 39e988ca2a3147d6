import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../../kernel';
import { OWNER_ONLY, unless } from './durable-files';

const PREFIX = 'keyring.draft.';

export const newDraftPath = (dataDir: string): string => join(dataDir, `${PREFIX}${newId()}`);
export const isDraft = (name: string): boolean => name.startsWith(PREFIX);

/**
 * The file of one attempt to write the next generation. It exists before its writer reads the keyring, and who settles a
 * generation removes all drafts first. A writer that slept through a settled generation therefore has nothing left to link.
 */
export class KeyringDraft {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {}

  static async begin(dataDir: string): Promise<KeyringDraft> {
    const path = newDraftPath(dataDir);
    return new KeyringDraft(path, await open(path, 'wx', OWNER_ONLY));
  }

  async write(text: string): Promise<void> {
    await this.file.writeFile(text, 'utf8');
    await this.file.sync();
  }

  /** False where another writer has that name, or has moved on and removed this draft. */
  linkTo(path: string): Promise<boolean> {
    return unless(['EEXIST', 'ENOENT'], () => link(this.path, path));
  }

  async discard(): Promise<void> {
    await this.file.close();
    await rm(this.path, { force: true }).catch(() => undefined);
  }
}
