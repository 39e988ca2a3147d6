import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Returns the version in the nearest package.json above this file, or `unknown`.
 * Sources, build and benchmarks lie at different depths below that file.
 */
export function releaseVersion(folder = __dirname): string {
  const path = join(folder, 'package.json');
  if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  const parent = dirname(folder);
  return parent === folder ? 'unknown' : releaseVersion(parent);
}
