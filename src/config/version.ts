import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The release of Coffer: the version in the nearest package.json above this file. Sources, build
 * and benches lie at different depths below it.
 */
export function releaseVersion(folder = __dirname): string {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) return releaseVersion(dirname(folder));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return version;
}
