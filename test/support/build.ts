import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

let built: Promise<void> | undefined;

/**
 * Brings dist/ up to date, once a test file. The test command has built already and says so by
 * COFFER_BUILT; a jest run by hand has not, and scripts/build-if-stale.mjs then compares times and
 * builds under a lock.
 */
export function buildOnce(): Promise<void> {
  built ??= new Promise((resolve, reject) => {
    if (process.env['COFFER_BUILT'] === '1') {
      resolve();
      return;
    }
    try {
      execFileSync(process.execPath, [join(__dirname, '../../scripts/build-if-stale.mjs')], { stdio: 'inherit' });
      resolve();
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  });
  return built;
}
