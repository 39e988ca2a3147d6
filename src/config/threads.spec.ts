import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvReader } from './env-reader';
import { threads } from './threads';

describe('Threads that hash', () => {
  it.each([1, 2, 4, 16, 64, 256])('are fewer than the pool has, on %i cores', (cores) => {
    const { pool, hashing } = threads(new EnvReader({}), cores);
    expect(hashing).toBe(Math.max(1, cores - 1));
    expect(pool - hashing).toBe(4);
  });

  it.each([
    ['4', 2],
    ['8', 6],
    ['32', 15],
  ])('follow UV_THREADPOOL_SIZE=%s on 16 cores: %i', (UV_THREADPOOL_SIZE, hashing) => {
    const made = threads(new EnvReader({ UV_THREADPOOL_SIZE }), 16);
    expect(made).toEqual({ pool: Number(UV_THREADPOOL_SIZE), hashing });
  });

  it.each(['1', '3', '1025', 'many'])('are refused with UV_THREADPOOL_SIZE=%s', (UV_THREADPOOL_SIZE) => {
    expect(() => threads(new EnvReader({ UV_THREADPOOL_SIZE }), 2)).toThrow('from 4 to 1024');
  });
});

describe('A file read', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'coffer-threads-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  // Each hashing thread blocks while it opens a pipe without a writer. No hash can end early, so
  // the order is certain.
  it('goes on while all hash slots are taken, on a machine of 16 cores, after all modules are loaded', () => {
    const root = join(__dirname, '../..');
    const support = join(root, 'test/support');
    const preloads = ['sixteen-cores.cjs', 'typescript-hook.cjs'].flatMap((name) => ['--require', join(support, name)]);
    const args = [...preloads, join(support, 'full-hash-slots.ts')];
    const env = { PATH: process.env['PATH'], DATA_DIR: folder };
    const said = execFileSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8', timeout: 240_000 });
    expect(said.trim()).toBe('15 slots taken, the file was read');
  }, 300_000);
});

it.each(['cli/coffer-server.ts', 'main.ts'])('src/%s sizes the pool before it loads anything else', (name) => {
  const [first] = /^import .*$/m.exec(readFileSync(join(__dirname, '..', name), 'utf8')) ?? [];
  expect(first).toMatch(/^import '\.{1,2}\/config\/thread-pool';$/);
});
