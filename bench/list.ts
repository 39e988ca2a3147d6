import { request } from 'undici';
import { Figure, median, round } from './figures';
import type { BenchServer } from './server-process';

const FEW = 100;
const PAGES = 60;
const AT_ONCE = 8;

/** A page of an owner's files, when there are few and when there are `files` of them: at the beginning, and at the end by its cursor. */
export async function listFigure(server: BenchServer, token: string, files: number): Promise<Figure> {
  const headers = { authorization: `Bearer ${token}` };
  await fill(server, headers, 0, FEW);
  await pages(server, headers, undefined);
  const few = await pages(server, headers, undefined);
  await fill(server, headers, FEW, files);
  const first = await pages(server, headers, undefined);
  const last = await pages(server, headers, await lastCursor(server, headers));
  const cost = Math.max(median(first), median(last)) / median(few);
  const ms = (times: readonly number[]): number => round(median(times), 1);
  return {
    name: `a page of 50 of ${files} files`,
    measured: `${round(cost)} of one of ${FEW} (${ms(first)} ms, at the end ${ms(last)} ms, against ${ms(few)} ms)`,
    promised: 'at most 1.3',
    holds: cost <= 1.3,
    raw: { few_ms: few, first_ms: first, last_ms: last },
  };
}

type Headers = Readonly<Record<string, string>>;

async function fill(server: BenchServer, headers: Headers, from: number, to: number): Promise<void> {
  const upload = async (n: number): Promise<void> => {
    const { statusCode, body } = await request(`${server.url}/files?name=listed-${n}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      body: 'x',
    });
    await body.dump();
    if (statusCode !== 201) throw new Error(`POST /files: ${statusCode}`);
  };
  for (let at = from; at < to; at += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, to - at) }, (_, n) => upload(at + n)));
  }
}

async function pages(server: BenchServer, headers: Headers, cursor: string | undefined): Promise<number[]> {
  const times: number[] = [];
  for (let done = 0; done < PAGES; done += 1) {
    const sent = performance.now();
    const { items } = await page(server, headers, 50, cursor);
    times.push(performance.now() - sent);
    if (items.length !== 50) throw new Error(`a page of ${items.length}`);
  }
  return times;
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
