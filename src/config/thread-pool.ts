import { EnvReader } from './env-reader';
import { environment } from './load-config';
import { threads } from './threads';

/**
 * Sizes libuv's thread pool. Each entry point imports this file first: libuv reads the variable
 * when the pool is first used, which happens while the store's library loads.
 */
function size(): void {
  try {
    process.env['UV_THREADPOOL_SIZE'] = String(threads(new EnvReader(environment())).pool);
  } catch {
    // loadConfig reports faults of the environment.
  }
}

size();
