import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './root';

/** What `scripts/parts.mjs` installs. */
export type Part = 'openbao' | 'secantus' | 'python-esdk' | 'moto' | 'versitygw';

const folder = join(projectRoot(), '.parts');

/** A program of the parts' virtual environment. */
export function partProgram(name: 'bao' | 'secantusd-py' | 'python' | 'moto_server' | 'versitygw'): string {
  if (name === 'versitygw') return join(folder, 'bin', name);
  return join(folder, 'venv', process.platform === 'win32' ? 'Scripts' : 'bin', name);
}

export function hasPart(part: Part): boolean {
  if (part === 'versitygw') return existsSync(partProgram(part));
  try {
    const { installed } = JSON.parse(readFileSync(join(folder, 'parts.json'), 'utf8')) as {
      installed: Record<string, string>;
    };
    return part in installed && existsSync(partProgram('python'));
  } catch {
    return false;
  }
}
