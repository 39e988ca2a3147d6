import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bareEnvironment } from '../support/processes';

const root = join(__dirname, '../..');

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean; readonly version?: string }>
  >;
}

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;

describe('An installation of the packages', () => {
  let collector: Server;
  const reports: string[] = [];

  beforeAll(async () => {
    collector = createServer((request, response) => {
      reports.push(request.url ?? '');
      response.end();
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  });

  afterAll(() => new Promise((resolve) => collector.close(resolve)));

  it('reports nothing to the collector of @scarf/scarf, whose script runs in it', async () => {
    expect(packages['node_modules/@scarf/scarf']?.hasInstallScript).toBe(true);
    const { port } = collector.address() as AddressInfo;
    const env = { ...bareEnvironment(), SCARF_LOCAL_PORT: String(port), SCARF_VERBOSE: 'true', INIT_CWD: root };
    const said = await new Promise<string>((resolve) => {
      const script = join(root, 'node_modules/@scarf/scarf/report.js');
      execFile(process.execPath, [script], { env, cwd: join(script, '..') }, (_error, out, err) => resolve(out + err));
    });
    expect(said).toContain('Scarf has been disabled via a package.json');
    expect(reports).toEqual([]);
  });
});
