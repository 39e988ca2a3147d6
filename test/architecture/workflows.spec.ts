import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, YAML11_SCHEMA } from 'js-yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly 'timeout-minutes'?: number;
  readonly steps: readonly Step[];
  readonly strategy?: { readonly matrix: { readonly node: readonly string[] } };
}

interface Workflow {
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');
const folder = '.github/workflows';
const names = readdirSync(join(root, folder));
const workflow = (name: string): Workflow => load(text(`${folder}/${name}`), { schema: YAML11_SCHEMA }) as Workflow;
const settings = JSON.parse(text('package.json')) as {
  readonly engines: { readonly node: string };
  readonly scripts: Readonly<Record<string, string>>;
};

describe('The workflows', () => {
  it('are for a change, for the night and for a release', () => {
    expect(names.sort()).toEqual(['ci.yml', 'nightly.yml', 'release.yml']);
  });

  it.each(names)('pin each action by the commit of a named release: %s', (name) => {
    const uses = text(`${folder}/${name}`).match(/^.*\buses:.*$/gm) ?? [];
    expect(uses.length).toBeGreaterThan(0);
    expect(uses.filter((line) => !/uses: [\w-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual([]);
  });

  it('pin an action to one commit in all of them', () => {
    const pins = names.flatMap((name) => text(`${folder}/${name}`).match(/uses: .*/g) ?? []);
    const commits = new Map<string, Set<string>>();
    for (const pin of pins) {
      const [action = '', commit = ''] = pin.split('@');
      commits.set(action, (commits.get(action) ?? new Set()).add(commit));
    }
    expect([...commits].filter(([, found]) => found.size > 1)).toEqual([]);
  });

  it.each(names)('begin without a right to write, end by themselves and keep no credentials: %s', (name) => {
    const { permissions, jobs } = workflow(name);
    expect(permissions).toEqual({ contents: 'read' });
    for (const job of Object.values(jobs)) {
      expect(job['timeout-minutes']).toBeGreaterThan(0);
      const checkouts = job.steps.filter(({ uses }) => uses?.startsWith('actions/checkout@') === true);
      for (const checkout of checkouts) expect(checkout.with?.['persist-credentials']).toBe(false);
    }
  });

  it.each(names)('put nothing that a stranger may choose into a command: %s', (name) => {
    const commands = Object.values(workflow(name).jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
    expect(commands.filter((command) => command.includes('${{'))).toEqual([]);
    expect(text(`${folder}/${name}`)).not.toContain('pull_request_target');
  });

  it.each(names)('call only scripts that there are: %s', (name) => {
    const commands = Object.values(workflow(name).jobs)
      .flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
      .join('\n');
    const scripts = [...commands.matchAll(/npm run ([\w:]+)/g)].map(([, script = '']) => script);
    expect(scripts.filter((script) => settings.scripts[script] === undefined)).toEqual([]);
    const files = commands.match(/(?:\.ci|scripts)\/[\w.-]+/g) ?? [];
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it('try the oldest Node that package.json takes, and that of the image', () => {
    const tried = workflow('ci.yml').jobs['linux']?.strategy?.matrix.node ?? [];
    expect(`>=${tried[0]}`).toBe(settings.engines.node);
    const image = /^FROM node:(\d+)\./m.exec(text('Dockerfile'))?.[1];
    expect(tried).toContain(image);
    expect(tried).toEqual(['20.19', '22', '24', '26']);
  });
});
