import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { sampleBytes } from '../support/messages';
import { skippedName } from '../support/parts';
import { type Service, startService } from '../support/service';

const run = promisify(execFile);
const CONTENT = sampleBytes(3_000_000);
/** In the middle of a frame. */
const BROKEN_OFF_AT = 1_234_567;

/** How each takes a download up again where its file on disk ends. */
const PROGRAMS = [
  ['curl', (url: string, file: string, token: string) => ['-sS', '-f', '-C', '-', '-H', token, '-o', file, url]],
  ['wget', (url: string, file: string, token: string) => ['-q', '-c', `--header=${token}`, '-O', file, url]],
] as const;

const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

describe('A download that broke off', () => {
  let service: Service;
  let alice: Client;
  let folder: string;
  let url: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'coffer-resumed-'));
    service = await startService();
    alice = (await signUp(new Client(service.url))).client;
    const { id } = expectStatus(await alice.upload('large.bin', CONTENT), 201) as { id: string };
    url = `${service.url}/files/${id}/content`;
  });
  afterAll(async () => {
    await service.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [program, argumentsOf] of PROGRAMS) {
    const name = `goes on where it was with ${program}`;
    if (!isInstalled(program)) {
      it.skip(skippedName(name, `no ${program}`), () => undefined);
      continue;
    }
    it(name, async () => {
      const file = join(folder, program);
      await writeFile(file, CONTENT.subarray(0, BROKEN_OFF_AT));
      await run(program, argumentsOf(url, file, `Authorization: Bearer ${alice.token ?? ''}`), { timeout: 30_000 });
      expect((await readFile(file)).equals(CONTENT)).toBe(true);
    });
  }
});
