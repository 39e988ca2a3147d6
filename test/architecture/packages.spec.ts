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

const settings = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scarfSettings: unknown };

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
    // The script gives up after three seconds of `npm ls`, so a report that is missing says little
    // by itself.
    expect(settings.scarfSettings).toEqual({ enabled: false });
    const { port } = collector.address() as AddressInfo;
    const env = { ...bareEnvironment(), SCARF_LOCAL_PORT: String(port), SCARF_VERBOSE: 'true', INIT_CWD: root };
    const script = join(root, 'node_modules/@scarf/scarf/report.js');
    await new Promise<void>((resolve) =>
      execFile(process.execPath, [script], { env, cwd: join(script, '..') }, () => resolve()),
    );
    expect(reports).toEqual([]);
  });
});
