import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bareEnvironment } from '../support/processes';
import { skippedName } from '../support/parts';
import { type Service, startService } from '../support/service';

/** One line of the tour, and what the README says that it prints. */
interface Step {
  readonly command: string;
  readonly expected: string | undefined;
}

const root = join(__dirname, '../..');

function tourSteps(): Step[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const tour = /## Five-minute tour\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? '';
  const lines = [...tour.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((block) => block[1]!.trimEnd().split('\n'));
  return lines.flatMap((command, index) => {
    if (command.startsWith('#')) return [];
    const next = lines[index + 1];
    return [{ command, expected: next?.startsWith('#=> ') === true ? next.slice(4) : undefined }];
  });
}

/** `--json` came with curl 7.82; without bash or such a curl nobody can type along. */
function canTypeAlong(): boolean {
  const version = spawnSync('bash', ['-c', 'curl --version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (/^curl (\d+)\.(\d+)/.exec(version.stdout)?.slice(1) ?? []).map(Number);
  return version.status === 0 && (major > 7 || (major === 7 && minor >= 82));
}

/** `...` in the README stands for anything. */
function asPattern(expected: string): RegExp {
  const literal = expected.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('[\\s\\S]*?')}$`);
}

const name = 'The tour of the README';
const describeTour = canTypeAlong() ? describe : describe.skip;

describeTour(canTypeAlong() ? name : skippedName(name, 'it needs bash and curl 7.82'), () => {
  const steps = tourSteps();
  let service: Service;
  let printed: string[];

  beforeAll(async () => {
    service = await startService();
    const mark = '--- step ---';
    const script = steps.map(({ command }) => `echo '${mark}'\n${localised(command, service)}`).join('\n');
    const output = execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
      cwd: root,
      env: bareEnvironment(),
      encoding: 'utf8',
      timeout: 50_000,
    });
    printed = output.split(`${mark}\n`).slice(1);
  });

  afterAll(() => service.dispose());

  it('has steps for an account, a record, a file, the master key and a second factor', () => {
    const commands = steps.map((step) => step.command).join('\n');
    for (const route of ['/register', '/login', '/sensitive-data', '/files', '/rotate-master-key', '/verify-otp']) {
      expect(commands).toContain(route);
    }
    expect(steps.filter((step) => step.expected !== undefined).length).toBeGreaterThan(8);
  });

  it.each(steps.map((step, index) => ({ ...step, index })).filter((step) => step.expected !== undefined))(
    'prints what the README says at: $command',
    ({ expected, index }) => {
      expect(printed[index]?.trim()).toMatch(asPattern(expected!));
    },
  );
});

function localised(command: string, service: Service): string {
  return command.replace(/^URL=.*/, `URL=${service.url}`).replace(/^DATA=.*/, `DATA=${service.dataDir}`);
}
