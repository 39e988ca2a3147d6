import { join } from 'node:path';
import { type Store } from '../../../src/store';
import { type Managed, startProcess } from '../processes';
import { testSettings } from '../settings';

/** Starts one of the programs in this folder as a process of its own, from its source. */
export function startActor(name: string, ...args: string[]): Managed {
  const hook = join(__dirname, '../typescript-hook.cjs');
  return startProcess(process.execPath, ['--require', hook, join(__dirname, `${name}.ts`), ...args], {
    env: testSettings(),
  });
}

/**
 * SIGSTOP at a moment at which the process does not hold the one writer's lock of the embedded
 * store: there, everybody would wait for it, and a test could not tell a lost lease from that.
 */
export async function pauseOutsideWrite(actor: Managed, store: Store): Promise<void> {
  for (;;) {
    actor.pause();
    const free = await store.ping().then(
      () => true,
      () => false,
    );
    if (free) return;
    actor.resume();
  }
}
