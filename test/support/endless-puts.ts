import { join } from 'node:path';
import { type Managed, startProcess, waitFor } from './processes';

/** A put of an endless blob in a process of its own; resolves when some of it has gone in. */
export async function startEndlessPut(kind: string, address: string, id: string): Promise<Managed> {
  const args = ['--require', join(__dirname, 'typescript-hook.cjs'), join(__dirname, 'endless-put.ts')];
  const writer = startProcess(process.execPath, [...args, kind, address, id]);
  await waitFor('the put to be under way', () => {
    if (!writer.running()) throw new Error(writer.output());
    return writer.output().includes('writing');
  });
  return writer;
}
