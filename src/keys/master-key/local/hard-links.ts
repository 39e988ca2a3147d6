import { link, rm, writeFile } from 'node:fs/promises';
import { errnoOf } from './errno';
import { OWNER_ONLY } from './durable-files';
import { newDraftPath } from './keyring-draft';

/** What link(2) answers where a file system, a mount or a policy has no hard links. A full disk is no such answer. */
const NO_LINKS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EINVAL'];

/**
 * Tries one hard link in `folder`. Returns the code that link(2) refuses it with, and undefined where there are links, or where the folder
 * takes no file at all: a keyring can be read there, and a write says by itself what is wrong. Both names are names of drafts, so
 * whoever settles a generation removes what a killed process leaves.
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
