import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { buildOnce } from './build';
import { projectRoot } from './root';

const root = projectRoot();

/**
 * The last stage of the Dockerfile as files: what its COPY lines name, in a folder that stands for
 * `/`.
 */
export interface Image {
  readonly folder: string;
  /** The working directory of the image, in that folder. */
  readonly workdir: string;
  /** What its ENV lines set, with paths of the folder in place of those of the image. */
  readonly env: Readonly<Record<string, string>>;
  /** The command that a container runs, and the one that asks for its health. */
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  remove(): Promise<void>;
}

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

function lastStage(): Instruction[] {
  const lines = readFileSync(join(root, 'Dockerfile'), 'utf8')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const instructions = lines.map((line) => {
    const [name = '', ...rest] = line.trim().split(/\s+/);
    return { name, rest: rest.join(' ') };
  });
  return instructions.slice(instructions.map(({ name }) => name).lastIndexOf('FROM') + 1);
}

/**
 * Lays the image out in a temporary folder. What other stages make is taken from this clone: the
 * build, and packages without development.
 */
export async function layOutImage(): Promise<Image> {
  await buildOnce();
  const folder = await mkdtemp(join(tmpdir(), 'coffer-image-'));
  let workdir = folder;
  let env: Record<string, string> = {};
  let command: readonly string[] = [];
  let healthcheck: readonly string[] = [];
  const inside = (path: string): string => join(isAbsolute(path) ? folder : workdir, path);
  for (const { name, rest } of lastStage()) {
    if (name === 'WORKDIR') workdir = inside(rest);
    if (name === 'ENV') env = { ...env, ...variables(rest, folder) };
    if (name === 'CMD') command = JSON.parse(rest) as string[];
    if (name === 'HEALTHCHECK') healthcheck = JSON.parse(rest.slice(rest.indexOf('CMD ') + 4)) as string[];
    if (name === 'COPY') await copy(rest, inside);
  }
  return { folder, workdir, env, command, healthcheck, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** `NAME=value ...`; a value that is a path of the image becomes one of the folder. */
function variables(text: string, folder: string): Record<string, string> {
  const pairs = text.split(/\s+/).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  return Object.fromEntries<string>(
    pairs.map(([name = '', value = '']): [string, string] => {
      const expanded = value.split(':').map((part) => (part.startsWith('/') ? join(folder, part) : part));
      return [name, expanded.join(':').replace('$PATH', process.env['PATH'] ?? '')];
    }),
  );
}

async function copy(rest: string, inside: (path: string) => string): Promise<void> {
  const words = rest.split(/\s+/);
  const paths = words.filter((word) => !word.startsWith('--'));
  const fromStage = words.some((word) => word.startsWith('--from='));
  const target = paths.pop() ?? '';
  for (const source of paths) {
    const to = target.endsWith('/') ? join(inside(target), source.split('/').at(-1) ?? '') : inside(target);
    await mkdir(dirname(to), { recursive: true });
    if (source.endsWith('/node_modules')) await linkPackages(to);
    else await cp(join(root, fromStage ? source.replace(/^\/app\//, '') : source), to, { recursive: true });
  }
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
}

/** Links to the packages that `npm ci --omit=dev` would leave, by the lock file. */
async function linkPackages(to: string): Promise<void> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const kept = Object.entries(packages).filter(
    ([path, { dev }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && dev !== true,
  );
  for (const [path] of kept) {
    const link = join(to, path.slice('node_modules/'.length));
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, path), link);
  }
}
