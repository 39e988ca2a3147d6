import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './root';

/** What `scripts/parts.mjs` installs. */
export type Part =
  'openbao' | 'secantus' | 'python-esdk' | 'moto' | 'schemathesis' | 'openapi-python-client' | 'versitygw';

/** What `scripts/parts.mjs --long` installs where it can be had. */
export type LongPart = 'node24' | 'nginx' | 'caddy' | 'promtool';

const folder = join(projectRoot(), '.parts');

/** A program of the parts' virtual environment. */
export function partProgram(
  name: 'bao' | 'secantusd-py' | 'python' | 'moto_server' | 'schemathesis' | 'openapi-python-client' | 'versitygw',
): string {
  if (name === 'versitygw') return join(folder, 'bin', name);
  return join(folder, 'venv', process.platform === 'win32' ? 'Scripts' : 'bin', name);
}

/**
 * Of the parts folder; nginx, caddy and promtool also where the machine has them. Undefined where
 * there is none.
 */
export function longProgram(part: LongPart): string | undefined {
  if (part === 'node24') return present(join(folder, 'node24/node_modules/node/bin/node'));
  const path = join(part === 'nginx' ? 'usr/sbin' : 'usr/bin', part);
  return present(join(folder, 'debian', path)) ?? present(join('/', path));
}

const present = (path: string): string | undefined => (existsSync(path) ? path : undefined);

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
