import autocannon from 'autocannon';
import { request } from 'undici';
import { Figure, median, percentile, round } from './figures';
import type { BenchServer } from './server-process';
import { account, json, logIn, signUp } from './session';

const ROUNDS = 3;
const SECONDS = 8;

/**
 * Reads of one record at 64 connections, in turn with a handler behind the same guard that returns
 * a constant.
 */
export async function recordFigure(server: BenchServer, token: string): Promise<Figure> {
  const body = { data_type: 'card_number', value: '4929123456781234' };
  const { id } = await json<{ id: string }>(server.url, '/sensitive-data', body, token);
  const constant: number[] = [];
  const record: number[] = [];
  await rate(server, '/bench/constant', token, 2);
  await rate(server, `/sensitive-data/${id}`, token, 2);
  for (let done = 0; done < ROUNDS; done += 1) {
    constant.push(await rate(server, '/bench/constant', token, SECONDS));
    record.push(await rate(server, `/sensitive-data/${id}`, token, SECONDS));
  }
  const share = median(record) / median(constant);
  const perSecond = (values: readonly number[]): string => `${round(median(values), 0)}/s`;
  return {
    name: 'GET /sensitive-data/{id} at 64 connections',
    measured: `${round(share)} of a constant (${perSecond(record)} against ${perSecond(constant)})`,
    promised: 'at least 0.5',
    holds: share >= 0.5,
    raw: { constant_per_s: constant, record_per_s: record },
  };
}

async function rate(server: BenchServer, path: string, token: string, seconds: number): Promise<number> {
  const result = await autocannon({
    url: server.url + path,
    connections: 64,
    duration: seconds,
    headers: { authorization: `Bearer ${token}` },
  });
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`GET ${path}: ${result.non2xx} refused`);
  return result.requests.average;
}

/**
 * /livez again and again while four clients log in without a pause: argon2id must not hold the
 * event loop.
 */
export async function livezFigure(server: BenchServer): Promise<Figure> {
  const people = ['one', 'two', 'three', 'four'].map((name) => account(`login-${name}`));
  for (const person of people) await signUp(server.url, person);
  const until = performance.now() + SECONDS * 1000;
  let logins = 0;
  const busy = people.map(async (person) => {
    while (performance.now() < until) {
      await logIn(server.url, person);
      logins += 1;
    }
  });
  const times = await livezTimes(server, until);
  await Promise.all(busy);
  const p99 = percentile(times, 0.99);
  return {
    name: '/livez while 4 clients log in',
    measured: `${round(p99)} ms at p99 (${logins} logins, ${times.length} requests)`,
    promised: 'under 50 ms',
    holds: p99 < 50,
    raw: { p50_ms: percentile(times, 0.5), p99_ms: p99, logins },
  };
}

async function livezTimes(server: BenchServer, until: number): Promise<number[]> {
  const times: number[] = [];
  while (performance.now() < until) {
    const sent = performance.now();
    await (await request(`${server.url}/livez`)).body.dump();
    times.push(performance.now() - sent);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return times;
}
