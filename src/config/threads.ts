import { availableParallelism } from 'node:os';
import { EnvReader } from './env-reader';

/** Threads of libuv's pool that no hash takes: the file system and DNS use the same ones. */
const FILE_THREADS = 4;
const LEAST_FILE_THREADS = 2;
/** libuv's own size where nothing is set, and the most that it takes. */
const LEAST_THREADS = 4;
const MOST_THREADS = 1_024;

export interface Threads {
  /** Of libuv's pool. */
  readonly pool: number;
  /** How many of them may hash passwords at once. */
  readonly hashing: number;
}

/** One hash for each core but one, and always fewer than the pool has threads: a read never waits for a hash to end. */
export function threads(env: EnvReader, cores = availableParallelism()): Threads {
  const wanted = Math.max(1, cores - 1);
  const pool = env.whole('UV_THREADPOOL_SIZE', LEAST_THREADS, MOST_THREADS, wanted + FILE_THREADS);
  return { pool, hashing: Math.min(wanted, pool - LEAST_FILE_THREADS) };
}
