import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from './errno';
import { type Keyring, openKeyring, sealKeyring } from './keyring';
import { KeyringFault } from './keyring-format';

const OWNER_ONLY = 0o600;

/** `DATA_DIR/keyring.json`: read whole, replaced whole. Writers hold the keyring lock. */
export class KeyringFile {
  readonly path: string;

  constructor(
    readonly dataDir: string,
    private readonly rootKey: string,
  ) {
    this.path = join(dataDir, 'keyring.json');
  }

  /** Undefined only where there is no such file. @throws KeyringFault where there is one that does not open. */
  async read(): Promise<Keyring | undefined> {
    const text = await this.#text();
    return text === undefined ? undefined : openKeyring(text, this.rootKey);
  }

  async #text(): Promise<string | undefined> {
    try {
      return await readFile(this.path, 'utf8');
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOENT') return undefined;
      throw new KeyringFault('unreadable', code);
    }
  }

  /**
   * Readers see the former file or the new one. The folder is fsynced too: after a power cut the name must not point to the former file
   * when keys of the new version have been handed out.
   */
  async replace(keyring: Keyring): Promise<void> {
    const temporary = `${this.path}.tmp`;
    try {
      await writeDurably(temporary, sealKeyring(keyring, this.rootKey));
      await rename(temporary, this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', OWNER_ONLY);
  try {
    await file.chmod(OWNER_ONLY); // a file that a dead writer left keeps its own mode otherwise
    await file.writeFile(text, 'utf8');
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
