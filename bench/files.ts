import { Figure, median, round, shareOfRate } from './figures';
import type { BenchServer } from './server-process';
import { COFFER, MIB, PLAIN, Routes, Transfers } from './transfers';

const ROUNDS = 3;
const RANGES = 300;
const RANGE_BYTES = 4096;
const PARALLEL = 16;
const WARM_UP_MIB = 256;
const LEAST_SHARE = 0.75;
const MOST_MEMORY = 64;
const MOST_SPREAD = 1.3;

interface Trip {
  readonly up: number;
  readonly down: number;
}

/**
 * Upload and download of `mib` MiB with and without encryption in turn, memory with many transfers
 * at once, and ranges at the beginning, in the middle and at the end of a file.
 */
export async function fileFigures(server: BenchServer, token: string, mib: number): Promise<Figure[]> {
  const bench = new FileBench(new Transfers(server.url, token), mib);
  // Once each beforehand: code is compiled, pools and caches are filled.
  for (const routes of [PLAIN, COFFER]) await bench.trip(routes, Math.min(mib, WARM_UP_MIB));
  const plain: Trip[] = [];
  const coffer: Trip[] = [];
  for (let done = 0; done < ROUNDS; done += 1) {
    plain.push(await bench.trip(PLAIN));
    coffer.push(await bench.trip(COFFER));
  }
  const seconds = (trips: readonly Trip[], way: 'up' | 'down'): number[] => trips.map((trip) => trip[way]);
  const inAll = Math.min(mib, 1024);
  return [
    ratio(`upload of ${mib} MiB`, seconds(plain, 'up'), seconds(coffer, 'up'), mib),
    ratio(`download of ${mib} MiB`, seconds(plain, 'down'), seconds(coffer, 'down'), mib),
    await memoryFigure(server, bench, inAll),
    await bench.rangeFigure(),
  ];
}

const ratio = (name: string, plain: readonly number[], coffer: readonly number[], mib: number): Figure =>
  shareOfRate(name, mib, LEAST_SHARE, [
    { name: 'coffer', seconds: coffer },
    { name: 'plain', seconds: plain },
  ]);

/** Growth of the server's memory while many send, and then receive, `mib` MiB in all at once. */
async function memoryFigure(server: BenchServer, bench: FileBench, mib: number): Promise<Figure> {
  const each = Math.max(1, Math.floor(mib / PARALLEL));
  await bench.many(PARALLEL, Math.min(each, 8));
  const growth: number[] = [];
  for (let done = 0; done < ROUNDS; done += 1) {
    growth.push((await server.memoryGrowth(() => bench.many(PARALLEL, each))).mib);
  }
  const most = Math.max(...growth);
  return {
    name: `memory of ${PARALLEL} transfers at once, ${each * PARALLEL} MiB in all`,
    measured: `${round(most, 0)} MiB more`,
    promised: `at most ${MOST_MEMORY} MiB`,
    holds: most <= MOST_MEMORY,
    raw: { growth_mib: growth },
  };
}

class FileBench {
  constructor(
    private readonly transfers: Transfers,
    private readonly mib: number,
  ) {}

  /** Up, down, and away again: the disk holds one file at a time. */
  async trip(routes: Routes, mib = this.mib): Promise<Trip> {
    const { id, seconds: up } = await this.transfers.upload(routes.put(), mib);
    const down = await this.transfers.download(routes.get(id), mib * MIB);
    await this.transfers.remove(routes.remove(id));
    return { up, down };
  }

  async many(count: number, mib: number): Promise<void> {
    const all = Array.from({ length: count });
    const sent = await Promise.all(all.map(() => this.transfers.upload(COFFER.put(), mib)));
    await Promise.all(sent.map(({ id }) => this.transfers.download(COFFER.get(id), mib * MIB)));
    for (const { id } of sent) await this.transfers.remove(COFFER.remove(id));
  }

  /**
   * Medians of single requests in turn at three places, so that drift of the machine falls on all
   * alike.
   */
  async rangeFigure(): Promise<Figure> {
    const { id } = await this.transfers.upload(COFFER.put(), this.mib);
    const last = this.mib * MIB - RANGE_BYTES;
    const places = { start: 0, middle: Math.floor(last / 2), end: last };
    const times = { start: [] as number[], middle: [] as number[], end: [] as number[] };
    for (let index = 0; index < RANGES; index += 1) {
      for (const place of ['start', 'middle', 'end'] as const)
        times[place].push(await this.#rangeTime(id, places[place]));
    }
    await this.transfers.remove(COFFER.remove(id));
    const medians = Object.values(times).map((each) => median(each));
    const spread = Math.max(...medians) / Math.min(...medians);
    return {
      name: `4 KiB at 0, 50 and 100 % of ${this.mib} MiB`,
      measured: `within ${round(spread)} (${medians.map((ms) => `${round(ms)} ms`).join(', ')})`,
      promised: `within ${MOST_SPREAD} of each other`,
      holds: spread <= MOST_SPREAD,
      raw: { medians_ms: medians },
    };
  }

  async #rangeTime(id: string, from: number): Promise<number> {
    const range = `bytes=${from}-${from + RANGE_BYTES - 1}`;
    return (await this.transfers.download(COFFER.get(id), RANGE_BYTES, { range })) * 1000;
  }
}
