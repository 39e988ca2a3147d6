import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../..');

function filesUnder(folder: string, ends: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ends))
    .map((path) => readFileSync(join(root, folder, path), 'utf8'));
}

const sources = filesUnder('src', '.ts').join('\n');
const points = [...new Set([...sources.matchAll(/\bfailpoint\('([^']+)'\)/g)].map(([, name]) => name!))].sort();
const tests = [...filesUnder('test/faults', '.spec.ts'), ...filesUnder('test/e2e', '.spec.ts')].join('\n');
const document = readFileSync(join(root, 'docs/reliability.md'), 'utf8');

/** In quotes, alone or with the passing at which the process dies or stops. */
const isKilledAt = (point: string): boolean => new RegExp(`'${point.replace('.', '\\.')}(:\\d+)?(:stop)?'`).test(tests);

describe('The crash points of the sources', () => {
  it('are found by this test at all', () => {
    expect(points.length).toBeGreaterThan(40);
  });

  it('each have a test that dies there', () => {
    expect(points.filter((point) => !isKilledAt(point))).toEqual([]);
  });

  it('are those of docs/reliability.md', () => {
    const listed = [...document.matchAll(/^\| `([a-z-]+\.[a-z-]+)` +\|/gm)].map(([, name]) => name!).sort();
    expect(listed).toEqual(points);
  });
});
