import { HttpApp, startHttpApp } from '../support/http-app';
import { SampleController } from './sample.controller';

const KIB = 1024;
const PUBLIC_LIMIT = 16 * KIB;
/**
 * Of the processor. Far above what any of these takes on a slow machine, and below the seconds that
 * each took without a bound.
 */
const MOST_WORK_MS = 1_000;

let http: HttpApp;

beforeAll(async () => {
  http = await startHttpApp({ controllers: [SampleController] });
});
afterAll(() => http.close());

interface Told {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly { readonly pointer: string }[];
}

async function post(path: string, body: string): Promise<Told> {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer ann' };
  return told(await fetch(`${http.url}${path}`, { method: 'POST', headers, body }));
}

async function told(answer: Response): Promise<Told> {
  const { code = '', errors = [] } = (await answer.json()) as Partial<Told>;
  return { status: answer.status, code, errors };
}

/**
 * Milliseconds of the processor that this process used. Time of the clock would count what other
 * processes take as well.
 */
async function worked(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e3;
}

const listed = (count: number, make: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => make(at)).join();

describe('a body', () => {
  it('of 100,000 members does not stop the process, whoever sends it', async () => {
    const body = `{${listed(100_000, (at) => `"${at}":1`)}}`;
    expect(body.length).toBeLessThan(KIB * KIB);
    for (const path of ['/things', '/create']) {
      const answers: Told[] = [];
      expect(await worked(async () => answers.push(await post(path, body)))).toBeLessThan(MOST_WORK_MS);
      expect([400, 413]).toContain(answers[0]?.status);
    }
  });

  it('of a public route may have 16 KiB, one of a route for users 1 MiB', async () => {
    const frame = JSON.stringify({ name: '', count: 1, inner: { name: '' } }).length;
    const sized = (bytes: number) => JSON.stringify({ name: '', count: 1, inner: { name: 'x'.repeat(bytes - frame) } });
    expect((await post('/things', sized(PUBLIC_LIMIT))).status).toBe(200);
    expect(await post('/things', sized(PUBLIC_LIMIT + 1))).toMatchObject({ status: 413, code: 'too_large' });
    expect((await post('/create', sized(KIB * KIB))).status).toBe(201);
    expect(await post('/create', sized(KIB * KIB + 1))).toMatchObject({ status: 413, code: 'too_large' });
  });

  it.each([
    ['1,001 members', `{${listed(1_001, (at) => `"m${at}":1`)}}`],
    ['10,001 elements', `{"name":[${listed(10_001, () => '1')}]}`],
    ['33 levels', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
    ['50,001 values', `{"name":[${listed(6, () => `[${listed(9_000, () => '1')}]`)}]}`],
  ])('of %s is 400', async (_what, body) => {
    expect(await post('/create', body)).toMatchObject({ status: 400, code: 'invalid_json' });
  });

  it.each([
    ['1,000 unknown members', `{${listed(1_000, (at) => `"${'m'.repeat(1_000)}${at}":1`)}}`],
    ['large objects where one is declared', `{"inner":{${listed(1_000, (at) => `"m${at}":{"n":[{}]}`)}}}`],
    ['many objects in place of text', `{"name":[${listed(9_000, () => '{"a":[{}]}')}]}`],
    ['many large objects', `{"name":[${listed(45, () => `{${listed(1_000, (at) => `"m${at}":1`)}}`)}]}`],
    ['one long text of pairs of surrogates', `{"name":"${'\u{1f600}'.repeat(250_000)}"}`],
  ])('of %s is refused at once, by 20 faults at most', async (_what, body) => {
    const answers: Told[] = [];
    expect(await worked(async () => answers.push(await post('/create', body)))).toBeLessThan(MOST_WORK_MS);
    expect(answers[0]).toMatchObject({ status: 400, code: 'validation_failed' });
    expect(answers[0]?.errors.length).toBeLessThanOrEqual(20);
  });
});

describe('a query', () => {
  it('of more than 100 parameters is 400, before any of them is looked at', async () => {
    const query = listed(101, (at) => `p${at}=1`).replaceAll(',', '&');
    for (const path of ['/things', '/open']) {
      const answer = await told(await fetch(`${http.url}${path}?${query}`));
      expect(answer).toMatchObject({ status: 400, code: 'validation_failed', errors: [] });
    }
  });

  it('of thousands of empty parameters, or of one name a thousand times, is 400', async () => {
    expect((await fetch(`${http.url}/things?${'&'.repeat(8_000)}`)).status).toBe(400);
    expect((await fetch(`${http.url}/things?${'limit=1&'.repeat(1_000)}`)).status).toBe(400);
  });
});
