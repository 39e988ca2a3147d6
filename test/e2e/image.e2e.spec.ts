import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { login, newPerson, register } from '../support/accounts';
import { Client } from '../support/client';
import { type Image, layOutImage } from '../support/image';
import { bareEnvironment, freePort, type Managed, startProcess, waitFor } from '../support/processes';

const SECRET = 'Zr8vQ2mX5tL0pW9sK4nB7yH1cJ6dF3gA';
const root = join(__dirname, '../..');

jest.setTimeout(300_000);

/** A container of the image: its files, its environment and its commands, on one data folder. */
describe('The image', () => {
  let image: Image;
  let env: Record<string, string>;
  let service: Managed;
  let client: Client;

  beforeAll(async () => {
    image = await layOutImage();
    const port = await freePort();
    await mkdir(image.env['DATA_DIR']!);
    // As docker-compose.yml hands secrets over: in a file that one variable names.
    const file = join(image.folder, 'app.env');
    await writeFile(file, `JWT_SECRET=${SECRET}\nPEPPER=p${SECRET}\nCOFFER_ROOT_KEY=k${SECRET}\n`);
    const variables = { COFFER_ENV_FILE: file, HOST: '127.0.0.1', LOG_LEVEL: 'warn', PORT: String(port) };
    env = { ...bareEnvironment(), ...image.env, ...variables };
    const [program = '', ...args] = image.command;
    service = startProcess('/usr/bin/env', [program, ...args], { env, cwd: image.workdir });
    client = new Client(`http://127.0.0.1:${port}`);
    await waitFor(
      `the image's command to serve`,
      async () => {
        if (!service.running()) throw new Error(service.output());
        return (await client.get('/readyz').catch(() => undefined))?.status === 200;
      },
      120_000,
    );
  });

  afterAll(async () => {
    await service.kill();
    await image.remove();
  });

  const run = (command: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      // By `env`, so that the program is looked for in the image's PATH.
      execFile('/usr/bin/env', [command, ...args], { env, cwd: image.workdir }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });

  it('is what serves, as production', async () => {
    expect(image.env['NODE_ENV']).toBe('production');
    expect((await client.get('/livez')).status).toBe(200);
    expect(await run(...(image.healthcheck as [string]))).toMatchObject({ code: 0 });
  });

  it('takes every command that the pages name, and explains each', async () => {
    const explained = (await run('coffer-server', '--help')).out;
    for (const command of documentedCommands()) {
      expect(explained).toMatch(new RegExp(`^  ${command} `, 'm'));
      const help = await run('coffer-server', command, '--help');
      expect(help).toMatchObject({ code: 0, err: '', out: expect.stringContaining(`coffer-server ${command}`) });
    }
    expect(documentedCommands()).toEqual(['admin', 'backup', 'blobs', 'keys', 'receipts']);
    expect(await run('coffer-server', 'crown')).toMatchObject({ code: 2, out: '', err: explained });
  });

  it('makes an administrator, and lists accounts with their ids', async () => {
    const person = await register(client, newPerson('alice'));
    const granted = await run('coffer-server', 'admin', 'grant', person.username);
    expect(granted).toMatchObject({ code: 0, err: '', out: `${person.username} is now an administrator.\n` });
    const { access_token: token } = await login(client, person);
    const { id } = (await client.as(token).get('/me')).json as { id: string };
    const listed = await run('coffer-server', 'admin', 'users');
    expect(listed).toMatchObject({ code: 0, err: '' });
    expect(listed.out).toMatch(
      new RegExp(`^${id}  ${person.username}  administrator  active  \\d{4}-\\S+Z\\n1 account\\n$`),
    );
  });

  it('shows the master key, also by npm as in a clone', async () => {
    const shown = await run('coffer-server', 'keys', 'status');
    expect(shown).toMatchObject({ code: 0, err: '', out: expect.stringContaining('The master key is in local') });
    const byNpm = await run('npm', '--silent', 'run', 'keys', '--', 'status');
    expect([byNpm.code, byNpm.out]).toEqual([0, shown.out]);
  });

  it('copies the data folder, asks for blobs, and gives the key of receipts', async () => {
    const copy = join(image.folder, 'copy');
    expect(await run('coffer-server', 'backup', copy)).toMatchObject({ code: 0, err: '' });
    expect(await readdir(copy)).toContain('keyring.json');
    const moved = await run('coffer-server', 'blobs', 'migrate', '--to', 'filesystem');
    expect(moved).toMatchObject({ code: 0, out: 'Blobs lie in filesystem already.\n' });
    const key = await run('coffer-server', 'receipts', 'public-key');
    expect(key).toMatchObject({ code: 0, err: '', out: expect.stringContaining('BEGIN PUBLIC KEY') });
  });

  it('refuses a file of variables that is not there, and names it', async () => {
    const gone = { ...env, COFFER_ENV_FILE: join(image.folder, 'gone.env') };
    const refused = startProcess('/usr/bin/env', ['coffer-server'], { env: gone, cwd: image.workdir });
    expect(await refused.exited).toBe(1);
    expect(refused.output()).toBe('coffer: COFFER_ENV_FILE must be the path of a file that exists.\n');
  });

  it('hands SIGTERM to the service, which ends what runs', async () => {
    expect(await service.stop('SIGTERM', 60_000)).toBe(0);
  });
});

/** What is for a clone alone. */
const OF_DEVELOPERS = ['bench', 'postman'];

/**
 * Of all pages and shipped files: what stands behind `coffer-server` and `npm run ... --`, `start`
 * excepted.
 */
function documentedCommands(): string[] {
  const all = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  const docs = all.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  const files = ['README.md', 'docker-compose.yml', '.env.example', 'deploy/vault/README.md', ...docs];
  const texts = files.map((name) => readFileSync(join(root, name), 'utf8')).join('\n');
  const named = [...texts.matchAll(/coffer-server ([a-z]+)\b|npm run ([a-z]+) --(?= [A-Za-z-])/g)];
  const names = new Set(named.map(([, one, other]) => one ?? other ?? ''));
  return [...names].filter((name) => name !== 'start' && !OF_DEVELOPERS.includes(name)).sort();
}
