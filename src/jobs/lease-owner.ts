import { readFileSync, readlinkSync } from 'node:fs';
import { newId } from '../kernel';

/**
 * Who holds a lease: `<process space>/<pid>/<random>`, and `/<number>` where it is one of many of that owner. The process space names one kernel boot and one pid namespace, so two
 * owners that share it see each other's pids; where it cannot be told (not Linux) it is unique and says nothing.
 */
export type LeaseOwner = string;

/** Owners of this very process, which may have several (tests and tools). */
const localOwners = new Set<LeaseOwner>();

export function newLeaseOwner(): LeaseOwner {
  const owner = `${processSpace()}/${process.pid}/${newId()}`;
  localOwners.add(owner);
  return owner;
}

/**
 * True only where the holder is known to be gone: its pid belongs to this process's own space, and no process has it, or this process
 * has it now. So a service that is restarted goes on at once; everybody else waits for the lease to run out.
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
