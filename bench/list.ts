import { request } from 'undici';
import { Figure, median, round } from './figures';
import type { BenchServer } from './server-process';
import { account, signUp } from './session';

const FEW = 100;
const PAGES = 200;
const AT_ONCE = 8;
const MOST_SPREAD = 1.3;

/** A page of GET /files without a prefix, of an owner of 100 files and of one of `many`: it costs what it shows. */
export async function listFigure(server: BenchServer, many: number): Promise<Figure> {
  const owners: Record<'few' | 'many', string> = {
    few: await signUp(server.url, account('list-few')),
    many: await signUp(server.url, account('list-many')),
  };
  await fill(server.url, owners.few, FEW);
  await fill(server.url, owners.many, many);
  const times = { few: [] as number[], many: [] as number[] };
  for (let page = 0; page < PAGES; page += 1) {
    for (const owner of ['few', 'many'] as const) times[owner].push(await pageTime(server.url, owners[owner]));
  }
  const cost = median(times.many) / median(times.few);
  return {
    name: `a page of GET /files at ${many} files against one at ${FEW}`,
    measured: `${round(cost)} times (${round(median(times.many))} ms against ${round(median(times.few))} ms)`,
    promised: `at most ${MOST_SPREAD} times`,
    holds: cost <= MOST_SPREAD,
    raw: { few_ms: median(times.few), many_ms: median(times.many) },
  };
}

async function fill(url: string, token: string, count: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const answer = await request(`${url}/files?name=file-${(next += 1)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
        body: 'x',
      });
      await answer.body.dump();
      if (answer.statusCode !== 201) throw new Error(`POST /files answered ${answer.statusCode}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function pageTime(url: string, token: string): Promise<number> {
  const begun = performance.now();
  const answer = await request(`${url}/files?limit=50`, { headers: { authorization: `Bearer ${token}` } });
  const page = (await answer.body.json()) as { items: unknown[] };
  if (page.items.length !== 50) throw new Error(`a page of ${page.items.length} files`);
  return performance.now() - begun;
}
