import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { login, newPerson, register } from '../support/accounts';
import { type Coffer, startCoffer } from '../support/coffer';
import { type Figures, readFigures } from '../support/figures';
import { describeWithLongPart, describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const root = join(__dirname, '../..');
const text = (name: string): string => readFileSync(join(root, name), 'utf8');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const alerts = (load(text('deploy/prometheus/alerts.yml')) as Rules).groups.flatMap(({ rules }) => rules);
const panels = (JSON.parse(text('deploy/grafana/coffer-dashboard.json')) as Dashboard).panels;
const expressions = [
  ...alerts.map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
];

/** Metrics by name in a text; `up` and what scraping adds are Prometheus's own. */
const metricsIn = (words: string): string[] =>
  [...new Set(words.match(/\b(?:coffer|http_server|process|nodejs)_[a-z_]+[a-z]\b/g) ?? [])].sort();
const ADDED_BY_PROMETHEUS = new Set(['instance', 'job', 'le']);

async function figuresOf(coffer: Coffer): Promise<Figures> {
  return readFigures((await coffer.client.get('/metrics')).text);
}

describe('The metrics of a service that has just started', () => {
  let coffer: Coffer;
  let figures: Figures;

  beforeAll(async () => {
    coffer = await startCoffer({ env: { USER_QUOTA: '1MiB' } });
    await coffer.client.get('/livez');
    figures = await figuresOf(coffer);
  });
  afterAll(() => coffer.close());

  const isThere = (name: string): boolean =>
    figures.kinds.has(name) || figures.kinds.has(name.replace(/_(bucket|count|sum)$/, ''));

  it('are those that the alerts and the dashboard ask for, with the labels that they use', () => {
    expect(expressions.length).toBeGreaterThan(40);
    for (const [where, expr] of expressions) {
      for (const name of metricsIn(expr)) expect([where, name, isThere(name)]).toEqual([where, name, true]);
      for (const [, name = '', block = ''] of expr.matchAll(/([a-z_]+)\{([^}]*)\}/g)) {
        const asked = [...block.matchAll(/([a-z_]+)(?==)/g)].map((match) => match[1]!);
        const known = figures.labels.get(name) ?? new Set();
        const unknown = asked.filter((label) => !known.has(label) && !ADDED_BY_PROMETHEUS.has(label));
        // The histograms of HTTP and of the audit log have no series before their first request.
        if (known.size > 0) expect([where, unknown]).toEqual([where, []]);
      }
    }
  });

  it('are those that the pages name, and the pages name all of ours', () => {
    const pages = ['operations', 'keys', 'files', 'reliability', 'coverage', 'audit', 'auth'];
    const named = metricsIn(pages.map((page) => text(`docs/${page}.md`)).join('\n'));
    expect(named.filter((name) => name.startsWith('coffer_') && !isThere(name))).toEqual([]);
    const ours = [...figures.kinds.keys()].filter((name) => name.startsWith('coffer_'));
    expect(ours.filter((name) => !named.includes(name))).toEqual([]);
  });

  it('have every counter at 0, so that its first rise is one', () => {
    const counters = [...figures.kinds].filter(([name, kind]) => kind === 'counter' && name.startsWith('coffer_'));
    expect(counters.length).toBeGreaterThanOrEqual(12);
    const series = [...figures.samples.keys()];
    const without = counters.filter(([name]) => !series.some((key) => key === name || key.startsWith(`${name}{`)));
    expect(without).toEqual([]);
    for (const key of [
      'coffer_mails_total{outcome="failed"}',
      'coffer_damaged_reads_total{resource="file"}',
      'coffer_aborted_transfers_total{direction="upload"}',
      'coffer_jobs_failed_total{kind="master-key.rotation"}',
      'coffer_forged_rows_total{collection="users"}',
      'coffer_vault_requests_total{operation="decrypt",outcome="unavailable"}',
      'coffer_lockouts_total{kind="password"}',
      'coffer_refusals_total{code="quota_exceeded"}',
    ])
      expect([key, figures.samples.get(key)]).toEqual([key, 0]);
    expect(figures.samples.has('coffer_task_runs_total{task="files.sweep",outcome="failed"}')).toBe(true);
  });

  it('say what serves, how old the master key is, what runs, and how much room there is', () => {
    const value = (key: string): number | undefined => figures.samples.get(key);
    expect(value('coffer_ready')).toBe(1);
    for (const dependency of ['store', 'kms', 'blobs', 'audit'])
      expect([dependency, value(`coffer_dependency_up{dependency="${dependency}"}`)]).toEqual([dependency, 1]);
    expect(value('coffer_master_key_version')).toBe(1);
    expect(value('coffer_master_key_age_seconds')).toBeLessThan(3_600);
    expect(value('coffer_user_quota_bytes')).toBe(1024 ** 2);
    expect(value('coffer_data_dir_available_bytes')).toBeGreaterThan(0);
    expect(value('coffer_vault_token_expiry_timestamp_seconds')).toBe(Infinity);
    const { version } = JSON.parse(text('package.json')) as { version: string };
    expect(value(`coffer_build_info{version="${version}",node="${process.versions.node}"}`)).toBe(1);
  });
});

describe('The metrics of a service that works', () => {
  let coffer: Coffer;

  beforeAll(async () => {
    coffer = await startCoffer({ env: { USER_QUOTA: '10' } });
  });
  afterAll(() => coffer.close());

  it('count mails, lockouts once each, refusals by their code, and never have a name in a label', async () => {
    const person = await register(coffer.client, newPerson('alice'));
    const caller = coffer.client.as((await login(coffer.client, person)).access_token);
    await caller.post('/send-otp', { username: person.username });
    await coffer.mails();
    const octets = { body: Buffer.alloc(11), headers: { 'content-type': 'application/octet-stream' } };
    expect((await caller.post('/files', undefined, { query: { name: 'a' }, ...octets })).status).toBe(507);
    for (const username of [person.username, 'stranger-7'])
      for (let count = 0; count < 7; count += 1)
        await coffer.client.post('/login', { username, password: 'Wrong-Horse-7' });
    const answer = await coffer.client.get('/metrics');
    const { samples } = readFigures(answer.text);
    expect(samples.get('coffer_mails_total{outcome="sent"}')).toBeGreaterThan(0);
    expect(samples.get('coffer_mails_total{outcome="failed"}')).toBe(0);
    expect(samples.get('coffer_lockouts_total{kind="password"}')).toBe(2);
    expect(samples.get('coffer_refusals_total{code="login_failed"}')).toBe(10);
    expect(samples.get('coffer_refusals_total{code="too_many_attempts"}')).toBe(4);
    expect(samples.get('coffer_refusals_total{code="quota_exceeded"}')).toBe(1);
    expect(answer.text).not.toContain(person.username);
    expect(answer.text).not.toContain('stranger-7');
  });
});

describeWithPart('openbao', 'The metrics of a service with Vault', () => {
  it('count its requests by what they were for, and say when the token ends and that Vault is away', async () => {
    const bao = await startOpenBao();
    const env = { VAULT_ADDR: bao.address, VAULT_ROLE_ID: bao.roleId, VAULT_SECRET_ID: bao.secretId };
    const coffer = await startCoffer({ env: { ...env, KMS_CACHE_SECONDS: '0' } });
    try {
      await register(coffer.client, newPerson());
      const { samples } = await figuresOf(coffer);
      for (const operation of ['login', 'encrypt'])
        expect(samples.get(`coffer_vault_requests_total{operation="${operation}",outcome="done"}`)).toBeGreaterThan(0);
      const left = samples.get('coffer_vault_token_expiry_timestamp_seconds')! - Date.now() / 1000;
      expect(left).toBeGreaterThan(60);
      expect(left).toBeLessThan(Infinity);
      await bao.seal();
      await coffer.client.post('/register', newPerson());
      const sealed = (await figuresOf(coffer)).samples;
      expect(sealed.get('coffer_dependency_up{dependency="kms"}')).toBe(0);
      expect(sealed.get('coffer_dependency_up{dependency="store"}')).toBe(1);
      expect(sealed.get('coffer_ready')).toBe(0);
      const away = [...sealed].filter(([key, value]) => /vault_requests.*unavailable/.test(key) && value > 0);
      expect(away.length).toBeGreaterThan(0);
    } finally {
      await coffer.close();
      await bao.stop();
    }
  });
});

describeWithLongPart('promtool', 'The alerts', (promtool) => {
  it('are rules that Prometheus takes, as is the scrape', () => {
    const run = (...args: string[]): string => execFileSync(promtool, args, { cwd: root, encoding: 'utf8' });
    expect(run('check', 'rules', 'deploy/prometheus/alerts.yml')).toContain(`SUCCESS: ${alerts.length} rules found`);
    expect(run('check', 'config', '--syntax-only', 'deploy/prometheus/scrape.yml')).toContain('SUCCESS');
  });
});
