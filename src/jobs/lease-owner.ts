import { readFileSync, readlinkSync } from 'node:fs';
import { newId } from '../kernel';

/**
 * The holder of a lease: `<process space>/<pid>/<random>`, plus `/<number>` for one of several
 * leases.
 * The process space identifies one kernel boot and one pid namespace: owners with the same space
 * see each other's pids. On systems other than Linux it is unique and carries no information.
 */
export type LeaseOwner = string;

/** Owners in this process; tests and tools may have several. */
const localOwners = new Set<LeaseOwner>();

export function newLeaseOwner(): LeaseOwner {
  const owner = `${processSpace()}/${process.pid}/${newId()}`;
  localOwners.add(owner);
  return owner;
}

/**
 * True only if the holder is certainly dead: its pid is in this process's space and unused, or now
 * belongs to this process.
 * A restarted service can thus resume at once; all other processes wait until the lease expires.
 */
export function isGone(holder: LeaseOwner, self: LeaseOwner): boolean {
  const [space, pid] = holder.split('/');
  if (pid === undefined || space !== self.split('/')[0] || localOwners.has(ownerOf(holder))) return false;
  return Number(pid) === process.pid || !isAlive(Number(pid));
}

const ownerOf = (holder: LeaseOwner): LeaseOwner => holder.split('/').slice(0, 3).join('/');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function processSpace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    return `${boot}.${namespace}`;
  } catch {
    return newId();
  }
}
