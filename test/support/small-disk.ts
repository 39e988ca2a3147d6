import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skippedName } from './parts';

/** A file system of its own, small enough to be filled. */
export interface SmallDisk {
  readonly path: string;
  /** Takes all the space that is left. */
  fill(): void;
  /** Gives that space back. */
  relieve(): void;
  remove(): void;
}

export function smallDisk(mebibytes: number, inodes?: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'coffer-disk-'));
  const options = `size=${mebibytes}m${inodes === undefined ? '' : `,nr_inodes=${inodes}`}`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' });
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: () => fillUp(ballast),
    relieve: () => rmSync(ballast, { force: true }),
    remove: () => {
      execFileSync('umount', ['-l', path], { stdio: 'ignore' });
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function fillUp(file: string): void {
  for (const size of [1 << 20, 1 << 16, 1 << 12, 1]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

/** `describe`, but skipped aloud where this machine does not let us mount a tmpfs. */
export function describeWithSmallDisk(name: string, suite: () => void): void {
  if (canMount()) describe(name, suite);
  else describe.skip(skippedName(name, 'no right to mount a tmpfs'), suite);
}

function canMount(): boolean {
  try {
    smallDisk(1).remove();
    return true;
  } catch {
    return false;
  }
}
