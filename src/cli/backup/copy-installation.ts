import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StoreCopy } from '../../bootstrap/adapters/store-copy';
import { CONFIG, Config } from '../../config';
import { StartupError } from '../../kernel';
import { MasterKeyRow } from '../../keys/master-key';
import { NOTE_FILES } from '../../installation';
import { withService } from '../app';

const IN_VAULT = 'Keys lie in Vault: take a snapshot of it now, after this.\n';

/** Copies the installation of this environment into an empty folder, while it may be in use. */
export function copyInstallation(folder: string): Promise<string> {
  return withService(async (app) => {
    const copied = await copyTo(resolve(folder), app.get<Config>(CONFIG), app.get(StoreCopy));
    // Read afterwards: the key may have begun to move meanwhile.
    const { homes = [] } = await app.get(MasterKeyRow).read();
    const isInVault = homes.some(({ home, ended }) => home !== 'local' && ended !== true);
    return isInVault && !copied.includes(IN_VAULT) ? `${copied}${IN_VAULT}` : copied;
  });
}

/**
 * Documents first: a blob never changes, and one that a document of that moment names is still
 * there but for a file that was deleted since.
 */
async function copyTo(
  folder: string,
  { dataDir, masterKey, userKeys, blobs: { store } }: Config,
  { into }: StoreCopy,
): Promise<string> {
  if (into === undefined)
    throw new StartupError('The documents lie in MongoDB: use mongodump (docs/operations.md, "Backup").');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw new StartupError(`${folder} is not empty.`);
  await into(join(folder, 'store'));
  const blobs = await copyTree(join(dataDir, 'blobs'), join(folder, 'blobs'));
  // Behind the documents, so that no document is wrapped with a version that the copied keyring
  // does not have.
  await copyTree(join(dataDir, 'secrets'), join(folder, 'secrets'));
  // A generation that is decided and not yet in keyring.json is part of the keyring; keyring.json
  // comes after it.
  const pending = (await readdir(dataDir)).filter((name) => /^keyring\.\d+$/.test(name));
  for (const name of [...pending, 'keyring.json', 'installation.json', ...NOTE_FILES])
    await copyOne(join(dataDir, name), join(folder, name));
  const vault = masterKey.home === 'local' && userKeys.store === 'store' ? '' : IN_VAULT;
  const elsewhere = store === 'filesystem' ? '' : `Blobs lie in ${store}: copy them now, after this.\n`;
  return `Copied documents and ${blobs} blobs to ${folder}.\n${elsewhere}${vault}`;
}

/**
 * How many files, those not counted that say whose they are. What a running upload has not finished
 * is left out.
 */
async function copyTree(from: string, to: string): Promise<number> {
  const entries = await readdir(from, { withFileTypes: true }).catch(ifGone([]));
  await mkdir(to, { recursive: true, mode: 0o700 });
  let copied = 0;
  for (const entry of entries) {
    if (entry.isDirectory() && entry.name === 'partial') continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    const files = entry.isDirectory() ? await copyTree(source, target) : await copyOne(source, target);
    copied += entry.name.startsWith('.') ? 0 : files;
  }
  return copied;
}

async function copyOne(from: string, to: string): Promise<number> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await chmod(to, 0o600);
    return 1;
  } catch (error) {
    return ifGone(0)(error);
  }
}

const ifGone =
  <T>(instead: T) =>
  (error: unknown): T => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return instead;
    throw error;
  };
