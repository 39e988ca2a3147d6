import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skippedName } from './parts';
import { startProcess, waitFor } from './processes';
import { projectRoot } from './root';

const PROGRAM = join(projectRoot(), 'test/support/forgetful_disk.py');

/**
 * A file system of its own that keeps what was fsynced (forgetful_disk.py). Never to be looked at
 * by a synchronous call of this process.
 */
export interface ForgetfulDisk {
  readonly path: string;
  /**
   * A power cut: bytes of files and names in folders that no fsync made durable are gone. Whoever
   * uses it has been killed before.
   */
  forget(): Promise<void>;
  remove(): Promise<void>;
}

/** `options`: of the program. */
export async function forgetfulDisk(...options: '--no-links'[]): Promise<ForgetfulDisk> {
  const path = mkdtempSync(join(tmpdir(), 'coffer-forgetful-'));
  const server = startProcess('python3', [PROGRAM, path, ...options]);
  const said = (word: string): number => server.output().split(word).length - 1;
  const hasSaid = async (word: string, times: number): Promise<void> => {
    await waitFor(`a disk that has ${word}`, () => said(word) >= times || !server.running());
    if (said(word) < times) throw new Error(`the forgetful disk ended:\n${server.output()}`);
  };
  await hasSaid('mounted', 1);
  return {
    path,
    forget: async () => {
      const times = said('forgotten');
      process.kill(server.pid, 'SIGUSR1');
      await hasSaid('forgotten', times + 1);
    },
    remove: async () => {
      await server.stop();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/**
 * `describe`, but skipped aloud where this machine has no FUSE, no Python or does not let us mount.
 */
export function describeWithForgetfulDisk(name: string, suite: () => void): void {
  if (canMount()) describe(name, suite);
  else describe.skip(skippedName(name, 'no python3, no /dev/fuse or no right to mount'), suite);
}

function canMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'coffer-forgetful-'));
  try {
    return spawnSync('python3', [PROGRAM, path, '--try'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}
