import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { register, type Person } from '../support/accounts';
import { Client } from '../support/client';
import { partProgram } from '../support/installed';
import { describeWithPart } from '../support/parts';
import { bareEnvironment } from '../support/processes';
import { type Service, startService } from '../support/service';

const root = join(__dirname, '../..');
const sources = join(root, 'test/clients');
const content = 'what a generated client sends';

let service: Service;
let folder: string;
let person: Person;

beforeAll(async () => {
  service = await startService();
  const client = new Client(service.url);
  folder = mkdtempSync(join(tmpdir(), 'coffer-clients-'));
  writeFileSync(join(folder, 'openapi.json'), (await client.get('/openapi.json')).text);
}, 300_000);
beforeEach(async () => {
  person = await register(new Client(service.url));
});
afterAll(async () => {
  await service.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** What a program wrote to stdout. @throws Error with what it said, where it fails */
async function run(program: string, args: readonly string[]): Promise<string> {
  const environment = bareEnvironment();
  const path = [dirname(partProgram('python')), environment['PATH']].join(delimiter);
  const env = { ...environment, PATH: path, PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: folder };
  try {
    return (await promisify(execFile)(program, [...args], { cwd: folder, env })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${program} ${args.join(' ')}:\n${stdout}\n${stderr}`);
  }
}

describe('The client that openapi-typescript generates', () => {
  it('compiles strictly, logs in, uploads, lists and downloads', async () => {
    const home = join(folder, 'typescript');
    mkdirSync(home);
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const node = process.execPath;
    const schema = join(home, 'schema.d.ts');
    await run(node, [join(root, 'node_modules/openapi-typescript/bin/cli.js'), 'openapi.json', '-o', schema]);
    cpSync(join(sources, 'typescript-client.ts'), join(home, 'client.ts'));
    const options = ['--strict', '--noUncheckedIndexedAccess', '--skipLibCheck', '--target', 'ES2022'];
    const modules = ['--module', 'Node16', '--moduleResolution', 'Node16', '--lib', 'ES2022,DOM', '--types', 'node'];
    await run(node, [join(root, 'node_modules/typescript/bin/tsc'), ...options, ...modules, join(home, 'client.ts')]);
    const program = `require('./typescript/client.js').run(...process.argv.slice(1)).then((seen) => console.log(JSON.stringify(seen)))`;
    const seen = JSON.parse(await run(node, ['-e', program, service.url, person.username, person.password])) as object;
    expect(seen).toEqual({
      refused: 'login_failed',
      names: ['form.txt', 'raw.txt'],
      sizes: [content.length, content.length],
      total: 2 * content.length,
      versions: [1],
      content,
    });
  }, 300_000);
});

describeWithPart('openapi-python-client', 'The client that openapi-python-client generates', () => {
  it('lacks no operation, logs in, uploads, lists and downloads', async () => {
    const args = ['generate', '--path', 'openapi.json', '--output-path', 'coffer_client', '--meta', 'none'];
    const said = await run(partProgram('openapi-python-client'), [
      ...args,
      '--config',
      join(sources, 'python-client.yml'),
      '--fail-on-warning',
    ]);
    expect(said).not.toMatch(/WARNING|will not be generated/);
    const program = join(sources, 'python_client.py');
    const { username, password } = person;
    const seen = JSON.parse(await run(partProgram('python'), [program, service.url, username, password])) as object;
    expect(seen).toEqual({
      refused: 'login_failed',
      names: ['form.txt', 'raw.txt'],
      sizes: [content.length, content.length],
      created: new Date().getUTCFullYear(),
      expires: true,
      version: 2,
      versions: [2, 1],
      content,
    });
  }, 300_000);
});
