import { availableParallelism } from 'node:os';
import { EnvReader } from './env-reader';

/**
 * Threads of libuv's pool that password hashing leaves free; the file system and DNS need the pool
 * too.
 */
const FILE_THREADS = 4;
const LEAST_FILE_THREADS = 2;
/** Default and maximum pool size of libuv. */
const LEAST_THREADS = 4;
const MOST_THREADS = 1_024;

export interface Threads {
  /** Size of libuv's pool. */
  readonly pool: number;
  /** Maximum number of concurrent password hashes. */
  readonly hashing: number;
}

/**
 * One hash for each core but one, and always fewer than the pool has threads, so that file reads
 * never wait for a hash.
 */
export function threads(env: EnvReader, cores = availableParallelism()): Threads {
  const wanted = Math.max(1, cores - 1);
  const pool = env.whole('UV_THREADPOOL_SIZE', LEAST_THREADS, MOST_THREADS, wanted + FILE_THREADS);
  return { pool, hashing: Math.min(wanted, pool - LEAST_FILE_THREADS) };
}
