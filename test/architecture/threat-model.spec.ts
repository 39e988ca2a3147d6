import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const root = join(__dirname, '../..');

interface Row {
  readonly name: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}

/**
 * The rows of all tables of the page, with what their last column names: `file`, "title", "title";
 * `file`, "title".
 */
function rowsOf(page: string): readonly Row[] {
  const lines = page.split('\n');
  return lines.flatMap((line, at) => {
    const isRow = line.startsWith('|') && !/^[|\s:-]+$/.test(line) && !/^\|[\s:-]+\|/.test(lines[at + 1] ?? '');
    const cells = line.split('|').map((cell) => cell.trim());
    return isRow ? [{ name: cells[1] ?? '', tests: testsIn(cells.at(-2) ?? '') }] : [];
  });
}

function testsIn(cell: string): Row['tests'] {
  const parts = [...cell.matchAll(/`((?:src|test)\/[\w./-]+\.ts)`((?:, "[^"]+")+)/g)];
  if (parts.map(([part]) => part).join('; ') !== cell) return [];
  return parts.flatMap(([, file = '', titles = '']) =>
    [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title })),
  );
}

/** The titles of `it(...)` and `it.each(...)(...)` in a file. */
function titlesIn(file: string): ReadonlySet<string> {
  const path = join(root, file);
  const titles = new Set<string>();
  if (!existsSync(path)) return titles;
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const [title] = node.arguments;
      if (title !== undefined && ts.isStringLiteralLike(title)) titles.add(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true));
  return titles;
}

function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return callee.text === 'it';
  return ts.isCallExpression(callee) && /^it\.each\b/.test(callee.expression.getText());
}

describe('docs/threat-model.md', () => {
  const rows = rowsOf(readFileSync(join(root, 'docs/threat-model.md'), 'utf8'));

  it('names a test for each row of its tables', () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.filter(({ tests }) => tests.length === 0).map(({ name }) => name)).toEqual([]);
  });

  it('names only titles that stand in their files', () => {
    const known = new Map<string, ReadonlySet<string>>();
    const has = (file: string, title: string): boolean => {
      const titles = known.get(file) ?? titlesIn(file);
      known.set(file, titles);
      return titles.has(title);
    };
    const missing = rows.flatMap(({ tests }) => tests.filter(({ file, title }) => !has(file, title)));
    expect(missing).toEqual([]);
  });
});
