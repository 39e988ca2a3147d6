import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../..');
/** Run by npm before another script, with nothing to choose. */
const SILENT = ['build-if-stale.mjs'];
const scripts = readdirSync(join(root, 'scripts')).filter((name) => name.endsWith('.mjs') && !SILENT.includes(name));

describe('the scripts for contributors', () => {
  it('are found by this test at all', () => expect(scripts.length).toBeGreaterThan(8));

  it.each(scripts)('explain themselves and do nothing else: %s --help', (name) => {
    const run = spawnSync(process.execPath, [join('scripts', name), '--help'], { cwd: root, encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([0, '']);
    // The comment at the top and nothing of what the script does.
    expect(run.stdout.trimEnd().split('\n').length).toBeGreaterThanOrEqual(1);
    expect(run.stdout).not.toMatch(/^\[ *\d+ s\]|^building/m);
  });
});
