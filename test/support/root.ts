import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The project folder: above this file, be it the source or what the benches were compiled to. */
export function projectRoot(): string {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error('no package.json above the test parts');
  }
}
