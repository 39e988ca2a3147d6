import { request } from 'undici';
import { Figure, median, round } from './figures';
import type { BenchServer } from './server-process';
import { account, signUp } from './session';

const FEW = 100;
const PAGES = 60;
const AT_ONCE = 8;

/**
 * A page of an owner with few files, in turn with pages of one who has `files` of them: the first,
 * and the last by its cursor.
 */
export async function listFigure(server: BenchServer, token: string, files: number): Promise<Figure> {
  const many = { authorization: `Bearer ${token}` };
  const few = { authorization: `Bearer ${await signUp(server.url, account('few-files'))}` };
  await fill(server, few, FEW);
  await fill(server, many, files);
  const end = await lastCursor(server, many);
  const times = { few: [] as number[], first: [] as number[], last: [] as number[] };
  for (let done = 0; done < PAGES; done += 1) {
    times.few.push(await timeOf(server, few, undefined));
    times.first.push(await timeOf(server, many, undefined));
    times.last.push(await timeOf(server, many, end));
  }
  const cost = Math.max(median(times.first), median(times.last)) / median(times.few);
  const ms = (values: readonly number[]): number => round(median(values), 1);
  return {
    name: `a page of 50 of ${files} files`,
    measured: `${round(cost)} of one of ${FEW} (${ms(times.first)} ms, at the end ${ms(times.last)} ms, against ${ms(times.few)} ms)`,
    promised: 'at most 1.3',
    holds: cost <= 1.3,
    raw: { few_ms: times.few, first_ms: times.first, last_ms: times.last },
  };
}

type Headers = Readonly<Record<string, string>>;

async function fill(server: BenchServer, headers: Headers, count: number): Promise<void> {
  const upload = async (n: number): Promise<void> => {
    const { statusCode, body } = await request(`${server.url}/files?name=listed-${n}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      body: 'x',
    });
    await body.dump();
    if (statusCode !== 201) throw new Error(`POST /files: ${statusCode}`);
  };
  for (let at = 0; at < count; at += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - at) }, (_, n) => upload(at + n)));
  }
}

async function timeOf(server: BenchServer, headers: Headers, cursor: string | undefined): Promise<number> {
  const sent = performance.now();
  const { items } = await page(server, headers, 50, cursor);
  if (items.length !== 50) throw new Error(`a page of ${items.length}`);
  return performance.now() - sent;
}

/** Where the last 50 begin. */
async function lastCursor(server: BenchServer, headers: Headers): Promise<string | undefined> {
  const cursors: (string | undefined)[] = [undefined];
  for (;;) {
    const { next_cursor } = await page(server, headers, 50, cursors.at(-1));
    if (next_cursor === null) return cursors.at(-1);
    cursors.push(next_cursor);
  }
}

async function page(
  server: BenchServer,
  headers: Headers,
  limit: number,
  cursor: string | undefined,
): Promise<{ readonly items: readonly unknown[]; readonly next_cursor: string | null }> {
  const after = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  const { body } = await request(`${server.url}/files?limit=${limit}${after}`, { headers });
  return (await body.json()) as { readonly items: readonly unknown[]; readonly next_cursor: string | null };
}
