import { request } from 'undici';
import { type Bao, startOpenBao } from '../test/support/openbao';
import { startFaultProxy, type FaultProxy } from '../test/support/fault-proxy';
import { Figure, median, percentile, round } from './figures';
import type { Rates, Run } from './rotation.controller';
import { BenchServer, startBenchServer } from './server-process';
import { account, json, signUp } from './session';

const ROUNDS = 3;
const SEED_AT_ONCE = 5_000;
/** A fixed, low rate. */
const READ_EVERY_MS = 50;
/** Of each side in a round: with 100 a figure at p99 would be that of the slowest read alone. */
const READS = 200;
const WARM_UP = 100;
const CALLS = 1_000;
const RECORD = { data_type: 'card_number', value: '4929123456781234' };

/**
 * A rotation of `keys` user keys with either home of the master key, and what a warm service asks
 * of Vault.
 */
export async function rotationFigures(keys: number): Promise<Figure[]> {
  const local = await startBenchServer();
  const figures = await onServer(local, 'the local keyring', keys);
  const bao = await startOpenBao();
  const proxy = await startFaultProxy(bao.address);
  try {
    figures.push(...(await onServer(await startBenchServer(vaultOf(bao, bao.address)), 'OpenBao', keys)));
    figures.push(...(await callFigures(await startBenchServer(vaultOf(bao, proxy.address)), proxy)));
  } finally {
    await proxy.close();
    await bao.stop();
  }
  return figures;
}

const vaultOf = (bao: Bao, address: string): Record<string, string> => ({
  MASTER_KEY: 'transit',
  VAULT_ADDR: address,
  VAULT_ROLE_ID: bao.roleId,
  VAULT_SECRET_ID: bao.secretId,
});

async function onServer(server: BenchServer, home: string, keys: number): Promise<Figure[]> {
  try {
    const bench = new RotationBench(server, await signUp(server.url, account('bench')));
    await bench.seed(keys);
    return [await bench.speed(home), await bench.readsMeanwhile(home)];
  } finally {
    await server.stop();
  }
}

class RotationBench {
  constructor(
    private readonly server: BenchServer,
    private readonly token: string,
  ) {}

  async seed(keys: number): Promise<void> {
    for (let from = 0; from < keys; from += SEED_AT_ONCE) {
      await this.#post('/bench/rotation/owners', { from, count: Math.min(SEED_AT_ONCE, keys - from) });
    }
  }

  /**
   * The bare rates before and after each rotation, since the machine's speed may drift meanwhile.
   */
  async speed(home: string): Promise<Figure> {
    const bare = [await this.#rates()];
    const rotation: number[] = [];
    for (let done = 0; done < ROUNDS; done += 1) {
      const { seconds, keys } = await this.#run();
      rotation.push(keys / seconds);
      bare.push(await this.#rates());
    }
    const [rewrap, replace] = [bare.map((rates) => rates.rewrap), bare.map((rates) => rates.replace)];
    const share = median(rotation) / Math.min(median(rewrap), median(replace));
    return {
      name: `rotation, master key in ${home}`,
      measured: `${perSecond(rotation)} keys, ${round(share)} of the smaller of rewrap (${perSecond(rewrap)}) and compare-and-set (${perSecond(replace)})`,
      promised: 'at least 0.5',
      holds: share >= 0.5,
      raw: { rotation_per_s: rotation, rewrap_per_s: rewrap, replace_per_s: replace },
    };
  }

  /**
   * One record at a fixed rate, in turn without a rotation and beside as many of them as that
   * takes.
   */
  async readsMeanwhile(home: string): Promise<Figure> {
    const { id } = await json<{ id: string }>(this.server.url, '/sensitive-data', RECORD, this.token);
    const path = `/sensitive-data/${id}`;
    const [quiet, busy, rates]: [number[], number[], number[]] = [[], [], []];
    await this.#reads(path, (sent) => sent === WARM_UP);
    for (let done = 0; done < ROUNDS; done += 1) {
      quiet.push(...(await this.#reads(path, (sent) => sent === READS)));
      busy.push(...(await this.#readsBeside(path, rates)));
    }
    const [alone, beside] = [percentile(quiet, 0.99), percentile(busy, 0.99)];
    return {
      name: `reads during it, master key in ${home}`,
      measured: `${round(beside / alone)} times at p99 (${round(beside)} ms of ${busy.length} reads against ${round(alone)} ms of ${quiet.length}, ${perSecond(rates)} keys)`,
      promised: 'at most 2 times',
      holds: beside <= 2 * alone,
      raw: {
        before_ms: alone,
        during_ms: beside,
        keys_per_s: rates,
        median_before_ms: median(quiet),
        median_during_ms: median(busy),
      },
    };
  }

  /**
   * Reads beside one rotation after the other, until there were enough of them and the rotation has
   * ended.
   */
  async #readsBeside(path: string, rates: number[]): Promise<number[]> {
    let [isEnough, isOver] = [false, false];
    const rotate = async (): Promise<void> => {
      while (!isEnough) {
        const { seconds, keys } = await this.#run();
        rates.push(keys / seconds);
      }
    };
    const rotations = rotate().finally(() => (isOver = true));
    const times = await this.#reads(path, (sent) => {
      isEnough = sent >= READS;
      return isOver;
    });
    await rotations;
    return times;
  }

  async #reads(path: string, isOver: (sent: number) => boolean): Promise<number[]> {
    const times: number[] = [];
    const pending: Promise<void>[] = [];
    for (let sent = 0; !isOver(sent); sent += 1) {
      pending.push(this.#timed(path, times));
      await new Promise((resolve) => setTimeout(resolve, READ_EVERY_MS));
    }
    await Promise.all(pending);
    return times;
  }

  async #timed(path: string, times: number[]): Promise<void> {
    const sent = performance.now();
    const answer = await request(this.server.url + path, { headers: { authorization: `Bearer ${this.token}` } });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`GET ${path} answered ${answer.statusCode}`);
    times.push(performance.now() - sent);
  }

  async #run(): Promise<Run> {
    await this.#post('/bench/rotation/run');
    for (;;) {
      const { run } = await this.#post<{ run?: Run }>('/bench/rotation/result');
      if (run !== undefined) return run;
    }
  }

  #rates(): Promise<Rates> {
    return this.#post<Rates>('/bench/rotation/rates');
  }

  #post<T>(path: string, body: unknown = {}): Promise<T> {
    return json<T>(this.server.url, path, body, this.token);
  }
}

const perSecond = (values: readonly number[]): string => `${round(median(values), 0)}/s`;

/**
 * Requests to Vault that reads of a record and uploads cause, once the user's key is in the cache.
 */
async function callFigures(server: BenchServer, proxy: FaultProxy): Promise<Figure[]> {
  try {
    const token = await signUp(server.url, account('caller'));
    const { id } = await json<{ id: string }>(server.url, '/sensitive-data', RECORD, token);
    const authorization = `Bearer ${token}`;
    const read = () => request(`${server.url}/sensitive-data/${id}`, { headers: { authorization } });
    const upload = (n: number) =>
      request(`${server.url}/files?name=bench-${n}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/octet-stream' },
        body: 'content',
      });
    await upload(-1).then((answer) => answer.body.dump());
    const counted = async (work: (n: number) => ReturnType<typeof read>): Promise<number> => {
      const before = proxy.requests;
      for (let n = 0; n < CALLS; n += 1) {
        const answer = await work(n);
        await answer.body.dump();
        if (answer.statusCode >= 300) throw new Error(`answered ${answer.statusCode}`);
      }
      return proxy.requests - before;
    };
    return [calls('record reads', await counted(read), 0), calls('uploads', await counted(upload), 1)];
  } finally {
    await server.stop();
  }
}

const calls = (what: string, made: number, most: number): Figure => ({
  name: `calls of Vault for 1,000 ${what}`,
  measured: String(made),
  promised: most === 0 ? '0' : `at most ${most}`,
  holds: made <= most,
  raw: { calls: made },
});
