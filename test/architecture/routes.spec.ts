import { execFileSync } from 'node:child_process';
import { ApplicationConfig } from '@nestjs/core';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeApp, createApp } from '../../src/bootstrap/create-app';
import { Startup } from '../../src/bootstrap/startup';
import { loadConfig } from '../../src/config';
import { principalsOf, Route, RouteTable } from '../../src/http';
import { codeRows, routeRows, rowsIn, withRows } from '../support/api-tables';

const page = join(__dirname, '../../docs/api.md');
const contract = readFileSync(page, 'utf8');

let app: NestFastifyApplication;
let dataDir: string;
let routes: readonly Route[];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'coffer-routes-'));
  const config = loadConfig({ newSecret: () => 'a-secret-of-this-test-alone-'.repeat(2), env: { DATA_DIR: dataDir } });
  app = await createApp(config, { logger: false });
  await app.get(Startup).attempt();
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  routes = app.get(RouteTable).routes;
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(page, withRows(withRows(contract, 'routes', routeRows(routes)), 'codes', codeRows()));
    execFileSync(process.execPath, [require.resolve('prettier/bin/prettier.cjs'), '--write', page]);
  }
});

afterAll(async () => {
  await closeApp(app);
  rmSync(dataDir, { recursive: true, force: true });
});

describe('the routes and their policies', () => {
  it('are those that were looked at before', () => {
    expect(routeRows(routes).join('\n')).toMatchSnapshot();
  });

  it('are those of docs/api.md', () => {
    expect(rowsIn(contract, 'routes')).toEqual(routeRows(routes));
  });

  it('have a HEAD with the policy of its GET', () => {
    for (const { method, path, policy } of routes.filter((route) => route.method === 'HEAD')) {
      const get = routes.find((route) => route.method === 'GET' && route.path === path);
      expect([method, path, policy]).toEqual([method, path, get?.policy ?? policy]);
    }
  });

  it('each are open or want a scope, and admit none but persons to accounts', () => {
    const undecided = routes.filter(({ policy }) => (policy.access === undefined) === (policy.scope === undefined));
    expect(undecided).toEqual([]);
    const ofPersons = routes.filter(({ policy }) => policy.scope === 'account' || policy.scope === 'administration');
    expect(ofPersons.length).toBeGreaterThan(40);
    for (const { policy } of ofPersons) expect(principalsOf(policy)).toEqual(['person']);
  });

  it('pass through no interceptor that is global', () => {
    const applied = Reflect.get(app, 'config') as ApplicationConfig;
    expect(applied.getGlobalPipes().length + applied.getGlobalRequestPipes().length).toBe(1);
    expect([...applied.getGlobalInterceptors(), ...applied.getGlobalRequestInterceptors()]).toEqual([]);
  });

  it('admit the holder of an upload link to one', () => {
    const admitting = routes.filter(({ policy }) => principalsOf(policy).includes('link-holder'));
    expect(admitting.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /files']);
  });

  it('change nothing by GET or HEAD', () => {
    const reading = routes.filter(({ method }) => method === 'GET' || method === 'HEAD');
    expect(reading.filter(({ policy }) => policy.idempotent !== undefined || policy.body !== undefined)).toEqual([]);
  });

  it('let the public only where an account or a probe begins, and limit it there', () => {
    const open = routes.filter(({ policy }) => policy.access === 'public' || policy.access === 'optional');
    const unlimited = open.filter(({ policy }) => policy.rateLimit === undefined && policy.always !== true);
    expect(unlimited.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  });
});

describe('the error codes', () => {
  it('are those that were looked at before', () => {
    expect(codeRows().join('\n')).toMatchSnapshot();
  });

  it('are those of docs/api.md', () => {
    expect(rowsIn(contract, 'codes')).toEqual(codeRows());
  });
});

describe('the audit actions', () => {
  const sources = walk(join(__dirname, '../../src')).map((path) => readFileSync(path, 'utf8'));
  const listed = rowsIn(contract, 'actions').map((row) => row.split('`')[1] ?? '');

  it('of docs/api.md are all in use', () => {
    expect(listed.length).toBeGreaterThan(20);
    expect(listed.filter((action) => !sources.some((text) => text.includes(`'${action}'`)))).toEqual([]);
  });

  it('that the code names are all in docs/api.md', () => {
    const named = sources.flatMap((text) =>
      [...text.matchAll(/action: '([a-z-]+\.[a-z-]+)'/g)].map((match) => match[1]),
    );
    expect([...new Set(named)].filter((action) => !listed.includes(action ?? ''))).toEqual([]);
  });
});

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /(?<!\.spec)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}
