import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
}

const docs = filesBelow('docs', /\.md$/);
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'changelog/README.md',
  '.github/PULL_REQUEST_TEMPLATE.md',
  ...docs,
];

/** Files other than pages that send their reader to a page. */
const readers = [
  ...filesBelow('src', /\.ts$/),
  ...filesBelow('test', /\.(ts|yml|py)$/).filter((name) => !name.startsWith('test/vectors/')),
  ...filesBelow('bench', /\.ts$/),
  ...filesBelow('scripts', /\.mjs$/),
  ...filesBelow('deploy', /./),
  ...filesBelow('.github', /\.yml$/),
  'docker-compose.yml',
  'Dockerfile',
  '.env.example',
];

const withoutCode = (page: string): string => page.replace(/^```[\s\S]*?^```$/gm, '');

const headings = (page: string): string[] =>
  [...withoutCode(text(page)).matchAll(/^#+ (.+)$/gm)].map((match) => match[1]!.trim());

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');

describe('docs/coverage.md', () => {
  it('names only tests that exist', () => {
    const named = [...text('docs/coverage.md').matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g)].map((match) => match[1]!);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });
});

describe('The pages', () => {
  it.each(pages)('have links that lead somewhere: %s', (page) => {
    const links = [...withoutCode(text(page)).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    const dead = local.filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !headings(target).map(anchorOf).includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  it.each(pages)('name only sections that there are: %s', (page) => {
    const named = [...text(page).matchAll(/\b([\w-]+\.md)\]?(?:\([^)]*\))?\)?, "([^"]+)"/g)];
    const missing = named.filter(([, name = '', heading = '']) => {
      const target = [join(dirname(page), name), name, `docs/${name}`].find((path) => existsSync(join(root, path)));
      return target === undefined || !headings(target).includes(heading);
    });
    expect(missing.map(([all]) => all)).toEqual([]);
  });

  it.each(docs.filter((page) => page !== 'docs/glossary.md'))(
    'begin with what a reader can do after them: %s',
    (page) => {
      const [, first = ''] = text(page).split(/\n{2,}/);
      const begins = page.startsWith('docs/adr/0') ? /^Status: / : /^After reading this page you can /;
      expect(first).toMatch(begins);
    },
  );
});

describe('The sources', () => {
  it('send a reader to pages of this repository alone', () => {
    const outside = /\bDESIGN\b|\bAPI\.md\b|\bissue on \w+|\bissue #?\d+/;
    const named = [...readers, ...pages].filter((name) => name !== 'test/architecture/documents.spec.ts');
    expect(named.filter((name) => outside.test(text(name)))).toEqual([]);
  });

  it('name only pages and sections that there are', () => {
    const missing = readers.flatMap((reader) => {
      const joined = text(reader).replace(/\n\s*(?:\/\/|\*|#)?\s*/g, ' ');
      const named = [...joined.matchAll(/\bdocs\/([\w/-]+\.md)(?:, "([^"]+)")?/g)];
      return named
        .filter(([, name = '', heading]) => {
          if (!existsSync(join(root, 'docs', name))) return true;
          return heading !== undefined && !headings(`docs/${name}`).includes(heading);
        })
        .map(([all]) => `${reader}: ${all}`);
    });
    expect(missing).toEqual([]);
  });
});
