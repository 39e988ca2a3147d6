import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { errnoOf } from './errno';

/** Names one process for ever: a pid alone comes again, in containers even at each start. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Clock ticks from boot to the start of the process; empty where the system does not say. */
  readonly started: string;
  /** Changes with each boot; empty where the system does not say. */
  readonly boot: string;
}

export async function thisProcess(): Promise<ProcessIdentity> {
  return { pid: process.pid, host: hostname(), started: await startOf(process.pid), boot: await bootId() };
}

/** `unknown` is a process of another host or container, whose life cannot be seen from here. */
export async function lifeOf(other: ProcessIdentity): Promise<'alive' | 'dead' | 'unknown'> {
  if (other.host !== hostname()) return 'unknown';
  if (other.boot !== (await bootId()) || !exists(other.pid)) return 'dead';
  const started = await startOf(other.pid);
  return other.started !== '' && started !== '' && started !== other.started ? 'dead' : 'alive';
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return errnoOf(error) === 'EPERM';
  }
}

async function startOf(pid: number): Promise<string> {
  const stat = await textOf(`/proc/${pid}/stat`);
  // Field 22 of proc(5); the second field is a name in parentheses that may hold spaces itself.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

const bootId = (): Promise<string> => textOf('/proc/sys/kernel/random/boot_id');

async function textOf(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return '';
  }
}
