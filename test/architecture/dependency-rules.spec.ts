import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const src = join(__dirname, '../../src');

interface SourceFile {
  /** Below src, as `keys/user-keys/sealer.ts`. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return /(?<!\.spec)\.ts$/.test(entry.name) ? [path] : [];
  });
}

const files: readonly SourceFile[] = walk(src).map((path) => {
  const text = readFileSync(path, 'utf8');
  return { path: relative(src, path), text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
});

/**
 * The modules of docs/architecture.md: the first folder, below keys/ the second. The composition
 * may import all, and nothing imports it.
 */
const COMPOSITION = ['bootstrap', 'cli'];

function moduleOf(path: string): string {
  const [first = '', second = '', ...rest] = path.split('/');
  if (second === '' || COMPOSITION.includes(first)) return 'composition';
  return first === 'keys' && rest.length > 0 ? `keys/${second}` : first;
}

interface Import {
  readonly from: SourceFile;
  /** A package, or a path below src without its extension. */
  readonly to: string;
  readonly local: boolean;
  /**
   * Whether the file needs it as soon as it is loaded: neither for its types alone, nor by
   * `import()`.
   */
  readonly atLoad: boolean;
}

function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    const statement = ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node : undefined;
    const call = ts.isCallExpression(node) ? node : undefined;
    const isDynamic = call?.expression.kind === ts.SyntaxKind.ImportKeyword;
    const isLoad = isDynamic || call?.expression.getText() === 'require';
    const named = statement?.moduleSpecifier ?? (call !== undefined && isLoad ? call.arguments[0] : undefined);
    if (named && ts.isStringLiteral(named))
      found.push({ from: file, ...targetOf(file, named.text), atLoad: !isDynamic && !isOfTypes(statement) });
    ts.forEachChild(node, visit);
  };
  visit(file.tree);
  return found;
}

function isOfTypes(statement: ts.ImportDeclaration | ts.ExportDeclaration | undefined): boolean {
  if (statement === undefined || ts.isExportDeclaration(statement)) return statement?.isTypeOnly === true;
  const names = statement.importClause?.namedBindings;
  if (statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  return (
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.length > 0 &&
    names.elements.every(({ isTypeOnly }) => isTypeOnly)
  );
}

function targetOf(file: SourceFile, name: string): Pick<Import, 'to' | 'local'> {
  if (!name.startsWith('.')) return { to: name, local: false };
  const target = join(src, dirname(file.path), name.replace(/\.js$/, ''));
  const isFile = statSync(`${target}.ts`, { throwIfNoEntry: false })?.isFile() === true;
  return { to: relative(src, isFile ? target : join(target, 'index')), local: true };
}

const imports = files.flatMap(importsOf);

/** The files that are loaded with these, themselves included. */
function loadedWith(paths: readonly string[]): ReadonlySet<string> {
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { from, to, local, atLoad } of imports) if (atLoad && local && from.path === path) load(`${to}.ts`);
  };
  paths.forEach(load);
  return loaded;
}

const BASE = ['kernel', 'config', 'observability'];
const FEATURE = [...BASE, 'store', 'jobs', 'http', 'keys/user-keys'];

/** Who may import whom. All that is not here is an error. */
const EDGES: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  config: ['kernel'],
  observability: ['kernel', 'config'],
  crypto: ['kernel'],
  store: [...BASE, 'crypto'],
  // The installation document: who the installation is, and where its parts are.
  installation: [...BASE, 'store'],
  // store: for blobs/gridfs, which keeps its chunks through the connection of store/mongo.
  blobs: [...BASE, 'store'],
  mail: [...BASE],
  jobs: [...BASE, 'store'],
  // Sessions, deadlines and documents of Vault, for all that talks to it.
  'vault-client': [...BASE],
  'keys/master-key': [...BASE, 'store', 'crypto', 'vault-client'],
  'keys/system-keys': [...BASE, 'store', 'crypto', 'keys/master-key'],
  'keys/user-keys': [...BASE, 'store', 'crypto', 'installation', 'keys/master-key', 'vault-client'],
  'keys/rotation': [
    ...BASE,
    'store',
    'crypto',
    'installation',
    'jobs',
    'keys/master-key',
    'keys/system-keys',
    'keys/user-keys',
  ],
  http: [...BASE, 'crypto', 'store'],
  audit: [...BASE, 'crypto', 'store'],
  // What files and records count together.
  quota: [...BASE, 'store', 'jobs'],
  users: [...FEATURE, 'mail'],
  auth: [...FEATURE, 'crypto', 'mail', 'users', 'installation'],
  'service-accounts': [...FEATURE, 'crypto', 'users', 'auth'],
  links: [...FEATURE, 'crypto', 'users'],
  sharing: [...FEATURE, 'crypto', 'mail', 'users', 'links'],
  files: [...FEATURE, 'crypto', 'mail', 'blobs', 'links', 'sharing', 'quota'],
  'sensitive-data': [...FEATURE, 'quota'],
  'user-administration': [...FEATURE, 'auth', 'users'],
  approvals: [...FEATURE, 'users'],
  'key-management': [...FEATURE, 'keys/rotation', 'approvals'],
  'account-lifecycle': [
    ...FEATURE,
    ...['crypto', 'installation', 'users', 'approvals', 'service-accounts', 'sensitive-data', 'files'],
  ],
  health: [...BASE, 'http'],
};

const FEATURES = [
  'users',
  'auth',
  'service-accounts',
  'links',
  'sharing',
  'files',
  'sensitive-data',
  'approvals',
  'key-management',
  'account-lifecycle',
  'health',
];

/** Files under 40 lines today. */
const SMALL_FILES = 118;

const crossing = imports.filter(({ from, to, local }) => local && moduleOf(from.path) !== moduleOf(`${to}.ts`));
const shown = ({ from, to }: Pick<Import, 'from' | 'to'>): string => `${from.path} imports ${to}`;
const importers = (matches: (name: string) => boolean): string[] =>
  imports.filter(({ to, local }) => !local && matches(to)).map(({ from }) => from.path);

describe('the dependency rules of the modules', () => {
  it('are found by this test at all', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(crossing.length).toBeGreaterThan(100);
  });

  it('name each module', () => {
    const modules = new Set(files.map(({ path }) => moduleOf(path)));
    expect([...modules].filter((module) => module !== 'composition' && EDGES[module] === undefined)).toEqual([]);
  });

  it('are those of the design', () => {
    const wrong = crossing.filter(({ from, to }) => {
      const module = moduleOf(from.path);
      return module !== 'composition' && EDGES[module]?.includes(moduleOf(`${to}.ts`)) !== true;
    });
    expect(wrong.map(shown)).toEqual([]);
  });

  it('lead to the composition from nowhere', () => {
    expect(crossing.filter(({ to }) => moduleOf(`${to}.ts`) === 'composition').map(shown)).toEqual([]);
  });

  it('leave main.ts and app.module.ts as the only files beside the folders', () => {
    const loose = files.map(({ path }) => path).filter((path) => !path.includes('/'));
    expect(loose.sort()).toEqual(['app.module.ts', 'main.ts']);
  });

  it('let the arguments and help of a command load no package', () => {
    const commands = files.filter(({ path }) => /^cli\/[^/]+\.ts$/.test(path) && path !== 'cli/app.ts');
    expect(commands.length).toBeGreaterThan(5);
    const loaded = loadedWith(commands.map(({ path }) => path));
    const packages = imports.filter(
      ({ from, to, local, atLoad }) => atLoad && loaded.has(from.path) && !local && !to.startsWith('node:'),
    );
    // The ids of the kernel need uuid, which loads within a millisecond.
    expect(packages.filter(({ to }) => to !== 'uuid').map(shown)).toEqual([]);
  });

  it('let the application load the drivers of MongoDB and S3 where they are configured only', () => {
    const loaded = loadedWith(['app.module.ts']);
    expect(loaded.size).toBeGreaterThan(200);
    const drivers = imports.filter(
      ({ from, to, atLoad }) => atLoad && loaded.has(from.path) && /^(mongoose$|@aws-sdk\/)/.test(to),
    );
    expect(drivers.map(shown)).toEqual([]);
  });

  it('lead into a feature, and from a feature into the store, through index.ts alone', () => {
    const guarded = [
      ...FEATURES,
      'audit',
      'jobs',
      'store',
      'installation',
      'blobs',
      'mail',
      'keys/rotation',
      'keys/system-keys',
    ];
    const inside = crossing.filter(({ from, to }) => {
      const module = moduleOf(`${to}.ts`);
      const byFeature = FEATURES.includes(moduleOf(from.path)) || FEATURES.includes(module);
      return byFeature && guarded.includes(module) && to !== `${module}/index`;
    });
    expect(inside.map(shown)).toEqual([]);
  });

  it('lead to adapters from app.module alone', () => {
    const adapters = [
      'store/embedded',
      'store/mongo',
      'blobs/filesystem',
      'blobs/s3',
      'blobs/gridfs',
      'keys/master-key/local',
      'keys/master-key/transit',
      'keys/master-key/kv',
      'keys/user-keys/wrap-store/in-vault',
    ];
    const named = imports.filter(({ from, to, local }) => {
      const adapter = local ? adapters.find((folder) => to.startsWith(`${folder}/`)) : undefined;
      const shared = adapter === 'store/mongo' && from.path.startsWith('blobs/gridfs/');
      return adapter !== undefined && !shared && !from.path.startsWith(`${adapter}/`);
    });
    expect([...new Set(named.map(({ from }) => from.path))]).toEqual(['app.module.ts']);
  });

  it('have no cycle between files, be it of types alone', () => {
    const next = new Map(files.map(({ path }) => [path, [] as string[]]));
    for (const { from, to, local } of imports) if (local) next.get(from.path)?.push(`${to}.ts`);
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (trail.includes(path) || done.has(path)) return;
      for (const imported of next.get(path) ?? []) visit(imported, [...trail, path]);
      done.add(path);
    };
    for (const path of next.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it('have no cycle between modules', () => {
    const reaches = (from: string, goal: string, seen = new Set<string>()): boolean =>
      (EDGES[from] ?? []).some((next) => next === goal || (!seen.has(next) && reaches(next, goal, seen.add(next))));
    expect(Object.keys(EDGES).filter((module) => reaches(module, module))).toEqual([]);
  });
});

describe('what one module alone may use', () => {
  const outside = (paths: readonly string[], ...folders: string[]): string[] =>
    [...new Set(paths)].filter((path) => !folders.some((folder) => path.startsWith(folder)));

  it('is node:crypto for crypto/', () => {
    expect(
      outside(
        importers((name) => /^(node:)?crypto$/.test(name)),
        'crypto/',
      ),
    ).toEqual([]);
  });

  it('is argon2 and otplib for crypto/', () => {
    expect(
      outside(
        importers((name) => /^(argon2|otplib)/.test(name)),
        'crypto/',
      ),
    ).toEqual([]);
  });

  it('is mongoose for store/mongo and blobs/gridfs', () => {
    expect(
      outside(
        importers((name) => /^(mongoose|mongodb|@nestjs\/mongoose)$/.test(name)),
        'store/mongo/',
        'blobs/gridfs/',
      ),
    ).toEqual([]);
  });

  it('is the AWS SDK for blobs/s3', () => {
    expect(
      outside(
        importers((name) => name.startsWith('@aws-sdk/')),
        'blobs/s3/',
      ),
    ).toEqual([]);
  });

  it('is lmdb for store/embedded', () => {
    expect(
      outside(
        importers((name) => name === 'lmdb'),
        'store/embedded/',
      ),
    ).toEqual([]);
  });

  it('is the making of the application for bootstrap/', () => {
    const makers = files.filter(({ text }) => /\bNestFactory\s*\./.test(text)).map(({ path }) => path);
    expect(makers).toEqual(['bootstrap/create-app.ts']);
  });

  it('is process.env for config/', () => {
    const readers = files.filter(({ text }) => /process\s*\.\s*env|process\[/.test(text)).map(({ path }) => path);
    expect(outside(readers, 'config/')).toEqual([]);
  });

  it('is the HTTP status of a refusal for http/', () => {
    const statuses = files.filter(({ text }) =>
      /HttpException|(BadRequest|Unauthorized|Forbidden|NotFound|Conflict|InternalServerError)Exception/.test(text),
    );
    expect(
      outside(
        statuses.map(({ path }) => path),
        'http/',
      ),
    ).toEqual([]);
    const numbers = files.filter(({ text }) => /\.(status|code)\(\s*[45]\d\d|HttpCode\(\s*[45]\d\d/.test(text));
    expect(
      outside(
        numbers.map(({ path }) => path),
        'http/',
      ),
    ).toEqual([]);
  });
});

describe('the size of things', () => {
  const lines = (text: string): number => text.split('\n').filter((line) => !/^\s*(\/\/|\/?\*|$)/.test(line)).length;

  it('is 400 lines a file at most', () => {
    expect(files.filter(({ text }) => text.split('\n').length > 401).map(({ path }) => path)).toEqual([]);
  });

  /**
   * Lists and declarations by their nature; adapters of one port each, and the commands, each of
   * which its name leads to.
   */
  const MAY_BE_SMALL = /(^|[/.-])(index|main|module|types|dto|collection)\.ts$|^bootstrap\/adapters\/|^cli\//;

  it('is 40 lines a file at least, but for so many that are left', () => {
    const small = files.filter(({ path, text }) => text.trimEnd().split('\n').length < 40 && !MAY_BE_SMALL.test(path));
    // A bound that only goes down: a new file of this size belongs into a neighbour.
    expect(small.length).toBeLessThanOrEqual(SMALL_FILES);
  });

  it('is 40 lines for main.ts', () => {
    const main = files.find(({ path }) => path === 'main.ts');
    expect(main?.text.trimEnd().split('\n').length).toBeLessThanOrEqual(40);
  });

  function each(match: (node: ts.Node) => boolean): [string, ts.Node][] {
    const found: [string, ts.Node][] = [];
    for (const { path, tree } of files) {
      const visit = (node: ts.Node): void => {
        if (match(node)) found.push([path, node]);
        ts.forEachChild(node, visit);
      };
      visit(tree);
    }
    return found;
  }

  it('is 40 lines a function at most', () => {
    const long = each((node) => ts.isFunctionLike(node) && 'body' in node && node.body !== undefined).filter(
      ([, node]) => lines(node.getText()) > 40,
    );
    expect(long.map(([path, node]) => `${path}: ${node.getText().slice(0, 60)}`)).toEqual([]);
  });

  it('is six dependencies a constructor at most', () => {
    const wide = each((node) => ts.isConstructorDeclaration(node) && node.parameters.length > 6);
    expect(wide.map(([path]) => path)).toEqual([]);
  });

  it('is nine methods a port at most', () => {
    const ports = each((node) => {
      if (!ts.isClassDeclaration(node)) return false;
      return node.members.filter((member) => member.getText().startsWith('abstract ')).length > 9;
    });
    expect(ports.map(([path]) => path)).toEqual([]);
  });

  it('leaves no cycle between modules to be papered over', () => {
    expect(files.filter(({ text }) => text.includes('forwardRef')).map(({ path }) => path)).toEqual([]);
  });
});
