import { type BigIntStats, statSync } from 'node:fs';
import { type FileHandle, link, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoint, newId, syncFolder } from '../../../kernel';
import { destroyKeyring, type Keyring, KeyringFault, openKeyring, sealKeyring } from './keyring-format';
import { closed, errnoOf, OWNER_ONLY, removeFiles, removeLocks, unless } from './older-writers';

const NAME = 'keyring.json';
/** Each further look means that another process settled a generation in between. */
const LOOKS = 100;

/**
 * What is true of one content of the file alone: a replaced file has another inode, or another time
 * of change.
 */
export type FileMark = Pick<BigIntStats, 'ino' | 'ctimeNs' | 'size'>;

export interface ReadKeyring {
  readonly keyring: Keyring;
  /** Of `keyring.json`, where there is one. */
  readonly mark: FileMark | undefined;
  /** The keyring is a generation that is decided and not yet in `keyring.json`. */
  readonly isPending: boolean;
}

/**
 * `DATA_DIR/keyring.json`, and `keyring.<generation>` while a writer puts the next generation in
 * its place. A generation is decided by link(2), which one writer alone can do: the file is
 * complete before it has that name. A rename of that very file then settles it.
 */
export class KeyringFile {
  readonly path: string;

  constructor(
    readonly dataDir: string,
    private readonly rootKey: string,
  ) {
    this.path = join(dataDir, NAME);
  }

  /**
   * Undefined only where there is no such file.
   * @throws KeyringFault where there is one that does not open.
   */
  async read(): Promise<ReadKeyring | undefined> {
    for (let look = 0; look < LOOKS; look += 1) {
      // First the pending files, then the settled one: what is pending behind the settled one is
      // then never taken for newer.
      const pending = await this.#pending();
      if (pending !== undefined) return this.#newest(await textOf(this.path), pending);
    }
    throw new KeyringFault('unreadable', 'EAGAIN');
  }

  /**
   * Whether the settled file is another one than it was at `mark`. A file that is not there has not
   * moved.
   */
  hasMoved(mark: FileMark | undefined): boolean {
    const stats = this.#stats();
    if (stats === undefined) return false;
    return stats.ino !== mark?.ino || stats.ctimeNs !== mark.ctimeNs || stats.size !== mark.size;
  }

  #stats(): FileMark | undefined {
    try {
      return statSync(this.path, { bigint: true, throwIfNoEntry: false });
    } catch {
      return { ino: -1n, ctimeNs: -1n, size: -1n }; // it cannot be looked at: the read that follows says why
    }
  }

  /**
   * Writes a generation. False where another process has written it: the file is to be read again.
   * @throws KeyringFault `copy` naming a file that no writer made and that has the name of this
   * generation.
   */
  async put(draft: KeyringDraft, keyring: Keyring): Promise<boolean> {
    await draft.write(sealKeyring(keyring, this.rootKey));
    failpoint('keyring.written');
    if (!(await draft.linkTo(join(this.dataDir, `keyring.${keyring.generation}`)))) {
      await this.#refuseCopy(keyring.generation);
      return false;
    }
    failpoint('keyring.decided');
    await this.settle(keyring.generation);
    failpoint('keyring.settled');
    return true;
  }

  /**
   * It is not moved away from here: a writer may decide the generation under that name in between,
   * and the move would lose it.
   */
  async #refuseCopy(generation: number): Promise<void> {
    const name = `keyring.${generation}`;
    const found = await textOf(join(this.dataDir, name));
    if (found === undefined) return;
    const keyring = openKeyring(found.text, this.rootKey);
    destroyKeyring(keyring);
    if (keyring.generation !== generation) throw new KeyringFault('copy', undefined, name);
  }

  /**
   * Puts a decided generation in the place of `keyring.json`; any process may. The folder is
   * fsynced before and after: a power cut must not take back a version that keys were wrapped with.
   * Drafts go first (see KeyringDraft), and with them the keys that they hold.
   */
  async settle(generation: number): Promise<void> {
    await syncFolder(this.dataDir);
    await removeFiles(
      this.dataDir,
      (name) => isDraft(name) || name === `${NAME}.tmp` || generationOf(name) < generation,
    );
    failpoint('keyring.drafts-removed');
    await unless(['ENOENT'], () => rename(join(this.dataDir, `keyring.${generation}`), this.path));
    await syncFolder(this.dataDir);
    await removeLocks(this.dataDir, generation);
  }

  /** The newest first; undefined where one of them was settled while they were read. */
  async #pending(): Promise<readonly PendingText[] | undefined> {
    const pending: PendingText[] = [];
    for (const generation of await this.#pendingGenerations()) {
      const found = await textOf(join(this.dataDir, `keyring.${generation}`));
      if (found === undefined) return undefined;
      pending.push({ ...found, generation });
    }
    return pending;
  }

  async #pendingGenerations(): Promise<number[]> {
    try {
      const generations = (await readdir(this.dataDir)).map(generationOf).filter(Number.isSafeInteger);
      return generations.sort((a, b) => b - a);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw new KeyringFault('unreadable', errnoOf(error));
    }
  }

  #newest(settled: FileText | undefined, pending: readonly PendingText[]): ReadKeyring | undefined {
    const [mark, former] = [settled?.mark, settled && openKeyring(settled.text, this.rootKey)];
    for (const each of pending) {
      if (former !== undefined && former.generation >= each.generation) break;
      const keyring = this.#openPending(each, former);
      if (keyring !== undefined) return { keyring, mark, isPending: true };
    }
    return former && { keyring: former, mark, isPending: false };
  }

  /**
   * Undefined for a sound keyring of another generation: no writer makes that, somebody has made a
   * copy under such a name.
   */
  #openPending({ text, generation }: PendingText, former: Keyring | undefined): Keyring | undefined {
    try {
      const keyring = openKeyring(text, this.rootKey);
      const isCopy = keyring.generation !== generation;
      const unused = isCopy ? keyring : former;
      if (unused !== undefined) destroyKeyring(unused);
      return isCopy ? undefined : keyring;
    } catch (error) {
      if (former !== undefined) destroyKeyring(former);
      if (!(error instanceof KeyringFault)) throw error;
      throw new KeyringFault(error.kind, error.code, `keyring.${generation}`);
    }
  }
}

interface FileText {
  readonly text: string;
  readonly mark: FileMark;
}

type PendingText = FileText & { readonly generation: number };

/** Infinity for any other name: it is neither pending nor behind. */
const generationOf = (name: string): number => Number(/^keyring\.([1-9]\d*)$/.exec(name)?.[1] ?? Infinity);

async function textOf(path: string): Promise<FileText | undefined> {
  try {
    return await closed(await open(path, 'r'), async (file) => {
      const mark = await file.stat({ bigint: true });
      return { mark, text: await file.readFile('utf8') };
    });
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') return undefined;
    throw new KeyringFault('unreadable', code);
  }
}

const PREFIX = 'keyring.draft.';

export const newDraftPath = (dataDir: string): string => join(dataDir, `${PREFIX}${newId()}`);
export const isDraft = (name: string): boolean => name.startsWith(PREFIX);

/**
 * The file of one attempt to write the next generation. It exists before its writer reads the
 * keyring, and who settles a generation removes all drafts first. A writer that slept through a
 * settled generation therefore has nothing left to link.
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

/**
 * What link(2) answers where a file system, a mount or a policy has no hard links. A full disk is
 * no such answer.
 */
const NO_LINKS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EINVAL'];

/**
 * Tries one hard link in `folder`. Returns the code that link(2) refuses it with, and undefined
 * where there are links, or where the folder takes no file at all: a keyring can be read there, and
 * a write says by itself what is wrong. Both names are names of drafts, so whoever settles a
 * generation removes what a killed process leaves.
 */
export async function linkRefusal(folder: string): Promise<string | undefined> {
  const [file, name] = [newDraftPath(folder), newDraftPath(folder)];
  try {
    await writeFile(file, '', { flag: 'wx', mode: OWNER_ONLY });
  } catch {
    return undefined;
  }
  try {
    await link(file, name);
    return undefined;
  } catch (error) {
    const code = errnoOf(error);
    return NO_LINKS.includes(code) ? code : undefined;
  } finally {
    for (const path of [file, name]) await rm(path, { force: true }).catch(() => undefined);
  }
}
