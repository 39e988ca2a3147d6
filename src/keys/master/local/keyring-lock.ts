import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND } from '../../../kernel';
import { errnoOf } from './errno';
import { lifeOf, type ProcessIdentity, thisProcess } from './process-identity';

const POLL_MS = 10;
// A lock file without an owner in it: its writer died in the instant between creating and writing it, or is about to write.
const UNSIGNED_GRACE_MS = 5 * SECOND;
// An owner in another container cannot be asked. It holds the lock for one small write.
const FOREIGN_GRACE_MS = 60 * SECOND;

/**
 * The right to write one generation of the keyring file, among the processes of a host. A lock is the file
 * `keyring.lock.<generation>.<attempt>`, made with O_EXCL. Where its owner is dead the next attempt is made instead, and nobody
 * ever removes a lock of somebody else before the generation is written: two processes that both see a stale lock can therefore not both
 * take it over, which is what goes wrong where a stale lock is deleted. Who has the lock reads the keyring again; if the generation is
 * there already, the lock is void.
 */
export class KeyringLock {
  private constructor(
    private readonly dataDir: string,
    private readonly generation: number,
    private readonly path: string,
  ) {}

  /** Undefined where a living process kept it until `deadline` (ms since the epoch). */
  static async acquire(dataDir: string, generation: number, deadline: number): Promise<KeyringLock | undefined> {
    const me = await thisProcess();
    for (let attempt = 1; ;) {
      const path = join(dataDir, `keyring.lock.${generation}.${attempt}`);
      if (await createWith(path, me)) return new KeyringLock(dataDir, generation, path);
      if (await isStale(path)) attempt += 1;
      else if (Date.now() > deadline) return undefined;
      else await sleep(POLL_MS);
    }
  }

  /** Gives the lock back; nothing was written. What dead processes left stays, as the evidence that later attempts rest on. */
  async release(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /** The generation is written: its locks, and those of earlier ones, mean nothing any more. */
  async settle(): Promise<void> {
    for (const name of await readdir(this.dataDir)) {
      const generation = /^keyring\.lock\.(\d+)\.\d+$/.exec(name)?.[1];
      if (generation !== undefined && Number(generation) <= this.generation) {
        await rm(join(this.dataDir, name), { force: true });
      }
    }
  }
}

async function createWith(path: string, me: ProcessIdentity): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(JSON.stringify(me));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    const owner = parseOwner(await readFile(path, 'utf8'));
    const life = owner === undefined ? 'unknown' : await lifeOf(owner);
    if (life !== 'unknown') return life === 'dead';
    const age = Date.now() - (await stat(path)).mtimeMs;
    return age > (owner === undefined ? UNSIGNED_GRACE_MS : FOREIGN_GRACE_MS);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false; // released in between: the same attempt is free again
    throw error;
  }
}

function parseOwner(text: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(text) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
