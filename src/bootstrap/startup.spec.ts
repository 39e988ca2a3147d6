import { Logger } from '@nestjs/common';
import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/support/processes';
import { useRealDeadlines } from '../../test/support/settings';
import { loadConfig } from '../config';
import { closeApp, createApp } from './create-app';
import { Startup } from './startup';
import { TamperedRows } from './adapters/tamper-reports';

useRealDeadlines();

let folder: string;
let lines: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-startup-'));
  lines = [];
});
afterEach(async () => {
  Logger.overrideLogger(false);
  await rm(folder, { recursive: true, force: true });
});

async function withApp(
  env: Readonly<Record<string, string>>,
  use: (app: NestFastifyApplication) => Promise<void>,
): Promise<void> {
  const config = loadConfig({
    newSecret: () => 'a secret of a test that is long enough',
    env: { DATA_DIR: folder, LOG_LEVEL: 'silent', ...env },
  });
  const app = await createApp(config, { logger: false });
  const note = (line: unknown): void => void lines.push(typeof line === 'string' ? line : JSON.stringify(line));
  Logger.overrideLogger({ log: () => undefined, warn: note, error: note });
  try {
    await use(app);
  } finally {
    await closeApp(app);
  }
}

describe('A start that waits', () => {
  it.each([
    [
      'Vault (VAULT_ADDR): the connection is refused (ECONNREFUSED)',
      (port: number) => ({ VAULT_ADDR: `http://127.0.0.1:${port}`, VAULT_TOKEN: 'hunter2-token' }),
    ],
    [
      'the store: MongoDB (MONGODB_URL): the connection is refused (ECONNREFUSED)',
      (port: number) => ({ MONGODB_URL: `mongodb://someone:hunter2@127.0.0.1:${port}/?directConnection=true` }),
    ],
    [
      'the store: MongoDB (MONGODB_URL): its name is not found in DNS',
      () => ({ MONGODB_URL: 'mongodb://someone:hunter2@mongo.invalid/?directConnection=true' }),
    ],
  ])(
    'says %s, on each line and without the secret',
    async (said, env) => {
      await withApp(env(await freePort()), async (app) => {
        const startup = app.get(Startup);
        expect([await startup.attempt(), await startup.attempt()]).toEqual([false, false]);
        expect(startup.waitsFor).toContain(said);
        expect(lines.filter((line) => line.includes(`the start waits for ${said}`))).toHaveLength(2);
        expect(lines.join('\n')).not.toContain('hunter2');
      });
    },
    60_000,
  );

  it('counts no row as forged before it is done', async () => {
    await withApp({}, async (app) => {
      app.get(TamperedRows, { strict: false }).report('installation', 'installation');
      expect(lines).toEqual([]);
      expect(await app.get(Startup).attempt()).toBe(true);
      app.get(TamperedRows, { strict: false }).report('installation', 'installation');
      expect(lines.join('\n')).toContain('fails MAC verification');
    });
  }, 60_000);
});
