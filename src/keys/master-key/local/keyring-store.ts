import { SECOND } from '../../../kernel';
import { type FileMark, KeyringDraft, KeyringFile, type ReadKeyring } from './keyring-file';
import { destroyKeyring, type Keyring } from './keyring-format';
import { holdOffOlderWriters, removeLocks } from './older-writers';

/** For the small write of a process of an older release. */
const OLDER_WRITER_MS = 1.5 * SECOND;

/** The keyring file and the opened copy of it that this process holds. */
export class KeyringStore {
  readonly #file: KeyringFile;
  #held: Keyring | undefined;
  #mark: FileMark | undefined;

  constructor(
    private readonly dataDir: string,
    rootKey: string,
  ) {
    this.#file = new KeyringFile(dataDir, rootKey);
  }

  get path(): string {
    return this.#file.path;
  }

  /**
   * The opened copy. Used at once and not across an await: a reload replaces it and zeroes the
   * former keys.
   */
  get held(): Keyring | undefined {
    return this.#held;
  }

  /**
   * Whether another process has written the file since this one read it. Costs one stat, without a
   * thread of the pool.
   */
  hasMoved(): boolean {
    return this.#file.hasMoved(this.#mark);
  }

  /** Opens the file as it is now; undefined where there is none. @throws KeyringFault */
  async reload(): Promise<Keyring | undefined> {
    const read = await this.#file.read();
    if (read === undefined) return undefined;
    this.#hold(read.keyring, read.mark);
    // The writer died, or is at it. A folder that cannot be written is no reason not to read.
    if (read.isPending) await this.#file.settle(read.keyring.generation).catch(() => undefined);
    return this.#held;
  }

  /**
   * Writes what `next` makes of the file's keyring. Undefined where the file has moved past
   * `generation` (0: no file).
   */
  async advance(generation: number, next: (found: Keyring | undefined) => Keyring): Promise<Keyring | undefined> {
    if (!(await holdOffOlderWriters(this.dataDir, generation + 1, OLDER_WRITER_MS))) return undefined;
    const draft = await KeyringDraft.begin(this.dataDir);
    try {
      const found = await this.#file.read();
      if ((found?.keyring.generation ?? 0) !== generation) {
        await this.#passedBy(found);
        return undefined;
      }
      return await this.#write(draft, next(found?.keyring));
    } finally {
      await draft.discard();
    }
  }

  async #passedBy(found: ReadKeyring | undefined): Promise<void> {
    if (found === undefined) return;
    destroyKeyring(found.keyring);
    if (!found.isPending) await removeLocks(this.dataDir, found.keyring.generation);
  }

  async #write(draft: KeyringDraft, made: Keyring): Promise<Keyring | undefined> {
    const isWritten = await this.#file.put(draft, made).catch((error: unknown) => {
      destroyKeyring(made);
      throw error;
    });
    if (isWritten) this.#hold(made, undefined);
    else destroyKeyring(made);
    return isWritten ? made : undefined;
  }

  forget(): void {
    if (this.#held !== undefined) destroyKeyring(this.#held);
    this.#held = undefined;
    this.#mark = undefined;
  }

  #hold(read: Keyring, mark: FileMark | undefined): void {
    if (this.#held !== undefined && this.#held !== read) destroyKeyring(this.#held);
    this.#held = read;
    this.#mark = mark;
  }
}
