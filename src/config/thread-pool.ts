import { EnvReader } from './env-reader';
import { environment } from './load-config';
import { threads } from './threads';

/**
 * Sizes libuv's thread pool. Imported before anything else by what a process begins with: libuv reads the variable at the pool's
 * first use, and the store's library uses it while it is loaded.
 */
function size(): void {
  try {
    process.env['UV_THREADPOOL_SIZE'] = String(threads(new EnvReader(environment())).pool);
  } catch {
    // What is wrong with the environment is said by loadConfig.
  }
}

size();
