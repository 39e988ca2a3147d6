import { join } from 'node:path';
import { type Managed, startProcess } from '../processes';

/** Starts one of the programs in this folder as a process of its own, from its source. */
export function startActor(name: string, ...args: string[]): Managed {
  const hook = join(__dirname, '../typescript-hook.cjs');
  return startProcess(process.execPath, ['--require', hook, join(__dirname, `${name}.ts`), ...args]);
}
