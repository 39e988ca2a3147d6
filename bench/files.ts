import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Agent, request } from 'undici';
import { Figure, median, round } from './figures';
import type { BenchServer } from './server-process';

const MIB = 1024 * 1024;
const ROUNDS = 3;
const RANGES = 300;
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });

interface Routes {
  readonly put: () => string;
  readonly get: (id: string) => string;
}

const PLAIN: Routes = { put: () => '/bench/plain', get: (id) => `/bench/plain/${id}` };
const COFFER: Routes = {
  put: () => `/files?name=bench-${randomBytes(8).toString('hex')}`,
  get: (id) => `/files/${id}/content`,
};

interface Trip {
  readonly up: number;
  readonly down: number;
  readonly id: string;
}

/** Upload and download of `mib` MiB with and without encryption in turn, the growth of memory, and ranges at both ends. */
export async function fileFigures(server: BenchServer, token: string, mib: number): Promise<Figure[]> {
  const bench = new FileBench(server, token, mib);
  // Once each beforehand: code is compiled, pools and caches are filled.
  await bench.trip(PLAIN);
  await bench.trip(COFFER);
  const plain: Trip[] = [];
  const coffer: Trip[] = [];
  const growth: number[] = [];
  for (let done = 0; done < ROUNDS; done += 1) {
    plain.push(await bench.trip(PLAIN));
    const grown = await server.memoryGrowth(() => bench.trip(COFFER));
    coffer.push(grown.result);
    growth.push(grown.mib);
  }
  const seconds = (trips: readonly Trip[], way: 'up' | 'down'): number[] => trips.map((trip) => trip[way]);
  return [
    ratio(`upload of ${mib} MiB`, seconds(plain, 'up'), seconds(coffer, 'up'), mib),
    ratio(`download of ${mib} MiB`, seconds(plain, 'down'), seconds(coffer, 'down'), mib),
    memory(growth),
    await bench.rangeFigure(coffer.at(-1)!.id),
  ];
}

function ratio(name: string, plain: readonly number[], coffer: readonly number[], mib: number): Figure {
  const share = median(plain) / median(coffer);
  const speed = (seconds: readonly number[]): string => `${round(mib / median(seconds), 0)} MiB/s`;
  return {
    name,
    measured: `${round(share)} of plain (${speed(coffer)} against ${speed(plain)})`,
    promised: 'at least 0.5',
    holds: share >= 0.5,
    raw: { plain_s: plain, coffer_s: coffer },
  };
}

function memory(growth: readonly number[]): Figure {
  const most = Math.max(...growth);
  return {
    name: 'memory growth of upload and download',
    measured: `${round(most, 0)} MiB`,
    promised: 'under 64 MiB',
    holds: most < 64,
    raw: { growth_mib: growth },
  };
}

class FileBench {
  readonly #chunk = randomBytes(MIB);

  constructor(
    private readonly server: BenchServer,
    private readonly token: string,
    private readonly mib: number,
  ) {}

  async trip(routes: Routes): Promise<Trip> {
    const uploaded = await this.upload(routes.put());
    const down = await this.download(routes.get(uploaded.id));
    return { up: uploaded.seconds, down, id: uploaded.id };
  }

  async upload(path: string): Promise<{ id: string; seconds: number }> {
    const { mib } = this;
    const chunk = this.#chunk;
    function* chunks(): Iterable<Buffer> {
      for (let sent = 0; sent < mib; sent += 1) yield chunk;
    }
    const begun = performance.now();
    const answer = await request(this.server.url + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.token}`,
        'content-type': 'application/octet-stream',
        'content-length': String(mib * MIB),
      },
      body: Readable.from(chunks(), { objectMode: false, highWaterMark: MIB }),
      dispatcher: agent,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 201) throw new Error(`POST ${path} answered ${answer.statusCode}: ${text}`);
    return { id: (JSON.parse(text) as { id: string }).id, seconds: (performance.now() - begun) / 1000 };
  }

  async download(path: string): Promise<number> {
    const begun = performance.now();
    const received = await this.read(path);
    if (received !== this.mib * MIB) throw new Error(`GET ${path} gave ${received} bytes`);
    return (performance.now() - begun) / 1000;
  }

  /** Medians of single requests in turn at both ends, so that drift of the machine falls on both alike. */
  async rangeFigure(id: string): Promise<Figure> {
    const size = this.mib * MIB;
    const start: number[] = [];
    const end: number[] = [];
    for (let index = 0; index < RANGES; index += 1) {
      start.push(await this.timeRange(id, 0));
      end.push(await this.timeRange(id, size - 4096));
    }
    const cost = median(end) / median(start);
    return {
      name: '4 KiB at the end against 4 KiB at the start',
      measured: `${round(cost)} times (${round(median(end))} ms against ${round(median(start))} ms)`,
      promised: 'at most 1.5 times',
      holds: cost <= 1.5,
      raw: { start_ms: median(start), end_ms: median(end) },
    };
  }

  private async timeRange(id: string, from: number): Promise<number> {
    const begun = performance.now();
    const received = await this.read(COFFER.get(id), { range: `bytes=${from}-${from + 4095}` });
    if (received !== 4096) throw new Error(`a range of 4096 bytes gave ${received}`);
    return performance.now() - begun;
  }

  private async read(path: string, headers: Record<string, string> = {}): Promise<number> {
    const answer = await request(this.server.url + path, {
      headers: { authorization: `Bearer ${this.token}`, ...headers },
      dispatcher: agent,
    });
    let received = 0;
    for await (const chunk of answer.body) received += (chunk as Buffer).length;
    return received;
  }
}
