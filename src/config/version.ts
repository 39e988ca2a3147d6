import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The release of Coffer: the version in the nearest package.json above this file. Sources, build
 * and benches lie at different depths below it. `unknown` where no folder above has one.
 */
export function releaseVersion(folder = __dirname): string {
  const path = join(folder, 'package.json');
  if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  const parent = dirname(folder);
  return parent === folder ? 'unknown' : releaseVersion(parent);
}
