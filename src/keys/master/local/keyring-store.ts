import { failpoint } from '../../../kernel';
import { destroyKeyring, type Keyring } from './keyring';
import { KeyringFile } from './keyring-file';
import { KeyringLock } from './keyring-lock';

const LOCK_WAIT_MS = 1_500;

/** The keyring file and the opened copy of it that this process holds. */
export class KeyringStore {
  readonly #file: KeyringFile;
  #held: Keyring | undefined;

  constructor(
    private readonly dataDir: string,
    rootKey: string,
  ) {
    this.#file = new KeyringFile(dataDir, rootKey);
  }

  get path(): string {
    return this.#file.path;
  }

  /** The opened copy. Used at once and not across an await: a reload replaces it and zeroes the former keys. */
  get held(): Keyring | undefined {
    return this.#held;
  }

  /** Opens the file as it is now; undefined where there is none. @throws KeyringFault */
  async reload(): Promise<Keyring | undefined> {
    const read = await this.#file.read();
    if (read !== undefined) this.#hold(read);
    return read && this.#held;
  }

  /**
   * Writes what `next` makes of the file's keyring, under the lock. Undefined where the file has moved past `generation` (0: no file), or
   * where a living process kept the lock too long.
   */
  async advance(generation: number, next: (found: Keyring | undefined) => Keyring): Promise<Keyring | undefined> {
    const lock = await KeyringLock.acquire(this.dataDir, generation + 1, Date.now() + LOCK_WAIT_MS);
    if (lock === undefined) return undefined;
    try {
      failpoint('keyring.locked');
      const made = await this.#write(generation, next);
      if (made === undefined) return undefined;
      failpoint('keyring.replaced');
      this.#hold(made);
      await lock.settle();
      return made;
    } finally {
      await lock.release();
    }
  }

  async #write(generation: number, next: (found: Keyring | undefined) => Keyring): Promise<Keyring | undefined> {
    const found = await this.#file.read();
    if ((found?.generation ?? 0) !== generation) {
      if (found !== undefined) destroyKeyring(found);
      return undefined;
    }
    const made = next(found);
    try {
      await this.#file.replace(made);
      return made;
    } catch (error) {
      destroyKeyring(made);
      throw error;
    }
  }

  forget(): void {
    if (this.#held !== undefined) destroyKeyring(this.#held);
    this.#held = undefined;
  }

  #hold(read: Keyring): void {
    const former = this.#held;
    const isKnown = former?.generation === read.generation;
    if (!isKnown) this.#held = read;
    const unused = isKnown ? read : former;
    if (unused !== undefined) destroyKeyring(unused);
  }
}
