import { randomBytes } from 'node:crypto';
import { S3Address, S3BlobStore } from '../src/blobs/s3';
import { newId } from '../src/kernel';
import { DirectS3 } from './direct-s3';

// Run as a child process with --expose-gc: takes the times of both sides of the S3 figures and
// sends them to its parent.

const MIB = 1024 * 1024;
const ROUNDS = 5;
const WARM_UP_MIB = 64;
/** As the blob store has them. */
const PART = randomBytes(5 * MIB);
const IN_FLIGHT = 2;
/** About what an encrypted slab takes. */
const CHUNK = randomBytes(512 * 1024 + 256);
const PUTS = 16;
const EACH_MIB = 64;
const MEMORY_ROUNDS = 3;

interface Times {
  readonly put: number[];
  readonly get: number[];
}

export interface BlobTimes {
  /** In seconds. */
  readonly direct: Times;
  readonly store: Times;
  /** Of resident memory, in MiB, while `puts` puts of `each` MiB ran. */
  readonly growth: number[];
  readonly puts: number;
  readonly each: number;
}

interface Side {
  put(id: string, bytes: number): Promise<unknown>;
  /** Resolves with the bytes that came. */
  get(id: string): Promise<number>;
  remove(id: string): Promise<void>;
}

async function* source(bytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes; at += CHUNK.length) yield await Promise.resolve(CHUNK.subarray(0, bytes - at));
}

function storeSide(store: S3BlobStore): Side {
  return {
    put: (id, bytes) => store.put(id, source(bytes)),
    get: async (id) => {
      let bytes = 0;
      for await (const chunk of await store.get(id)) bytes += (chunk as Buffer).length;
      return bytes;
    },
    remove: (id) => store.remove(id),
  };
}

function directSide(direct: DirectS3): Side {
  return {
    put: (id, bytes) => direct.put(id, bytes, PART, IN_FLIGHT),
    get: (id) => direct.get(id),
    remove: (id) => direct.remove(id),
  };
}

/** Up, down, and away again; adds to `times`. */
async function trip(side: Side, bytes: number, times: Times): Promise<void> {
  const id = newId();
  const begun = performance.now();
  await side.put(id, bytes);
  const between = performance.now();
  const came = await side.get(id);
  times.get.push((performance.now() - between) / 1000);
  times.put.push((between - begun) / 1000);
  await side.remove(id);
  if (came !== bytes) throw new Error(`${came} bytes came of ${bytes}`);
}

async function putMany(store: Side, bytes: number): Promise<void> {
  const ids = Array.from({ length: PUTS }, newId);
  await Promise.all(ids.map((id) => store.put(id, bytes)));
  for (const id of ids) await store.remove(id);
}

async function memoryGrowth(store: Side): Promise<number> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let highest = before;
  const timer = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 20);
  await putMany(store, EACH_MIB * MIB).finally(() => clearInterval(timer));
  return (highest - before) / MIB;
}

async function main(): Promise<void> {
  const { address, mib } = JSON.parse(process.env['BENCH_S3'] ?? '') as { address: S3Address; mib: number };
  const opened = new S3BlobStore(address, { createBucket: true });
  await opened.open(newId());
  const client = new DirectS3(address);
  const [direct, store] = [directSide(client), storeSide(opened)];
  const growth: number[] = [];
  for (const side of [direct, store]) await trip(side, WARM_UP_MIB * MIB, { put: [], get: [] });
  // Before the long transfers: what they leave to the collector is not the growth of these.
  for (let done = 0; done < MEMORY_ROUNDS; done += 1) growth.push(await memoryGrowth(store));
  const times = { direct: { put: [], get: [] }, store: { put: [], get: [] } };
  for (let done = 0; done < ROUNDS; done += 1) {
    await trip(direct, mib * MIB, times.direct);
    await trip(store, mib * MIB, times.store);
  }
  client.close();
  process.send?.({ blobs: { ...times, growth, puts: PUTS, each: EACH_MIB } satisfies BlobTimes }, () =>
    process.exit(0),
  );
}

void main();
