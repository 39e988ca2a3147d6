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

const canTypeAlong = spawnSync('bash', ['-c', 'curl --version && npm --version'], { stdio: 'ignore' }).status === 0;

/** `...` in the README stands for anything. */
function asPattern(expected: string): RegExp {
  const literal = expected.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('[\\s\\S]*?')}$`);
}

const name = 'The tour of the README';
const describeTour = canTypeAlong ? describe : describe.skip;

jest.setTimeout(300_000);

describeTour(canTypeAlong ? name : skippedName(name, 'it needs bash, curl and npm'), () => {
  const steps = tourSteps();
  let service: Service;
  /** Of two runs on the same data, what each step printed. */
  let printed: string[][];

  beforeAll(async () => {
    // The commands of the tour have no variables of a test, so the service hashes as they do.
    service = await startService({ env: { COFFER_PASSWORD_COST: 'standard' } });
    printed = [typedAlong(steps, service), typedAlong(steps, service)];
  });

  afterAll(() => service.dispose());

  it('uses no option of curl that version 7.76 does not have', () => {
    const options = steps.flatMap(({ command }) => {
      const calls = command.match(/curl [^|)]*/g) ?? [];
      return calls.flatMap((call) => call.replace(/"(\\.|[^"\\])*"|'[^']*'/g, '').match(/ -[-A-Za-z]+/g) ?? []);
    });
    expect([...new Set(options)].sort()).toEqual([' -F', ' -H', ' -X', ' -d', ' -o', ' -s', ' -w']);
  });

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
      for (const run of printed) expect(run[index]?.trim()).toMatch(asPattern(expected!));
    },
  );
});

function typedAlong(steps: readonly Step[], service: Service): string[] {
  const mark = '--- step ---';
  const script = steps.map(({ command }) => `echo '${mark}'\n${localised(command, service)}`).join('\n');
  const output = execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
    cwd: root,
    env: bareEnvironment(),
    encoding: 'utf8',
    timeout: 120_000,
  });
  return output.split(`${mark}\n`).slice(1);
}

function localised(command: string, { url, dataDir }: Service): string {
  return command.replace(/^URL=.*/, `URL=${url}`).replace(/^export DATA_DIR=.*/, `export DATA_DIR=${dataDir}`);
}
