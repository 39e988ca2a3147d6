import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isGone, newLeaseOwner } from './lease-owner';

const self = newLeaseOwner();
const [space] = self.split('/');

describe('the holder of a lease', () => {
  it('is not gone where it is this process', () => {
    expect(isGone(self, self)).toBe(false);
    expect(isGone(newLeaseOwner(), self)).toBe(false);
  });

  it('is gone where its process has ended', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'close');
    expect(isGone(`${space}/${child.pid}/former`, self)).toBe(true);
  });

  it('is gone where this process has its pid now', () => {
    expect(isGone(`${space}/${process.pid}/former`, self)).toBe(true);
  });

  it('is not gone while a process with its pid runs', () => {
    expect(isGone(`${space}/${process.ppid}/other`, self)).toBe(false);
  });

  it('is not gone where it is one of many leases of this process', () => {
    expect(isGone(`${self}/7`, self)).toBe(false);
    expect(isGone(`${self}/7`, newLeaseOwner())).toBe(false);
  });

  it.each(['', 'nonsense', 'another-boot.1/1/x', `another/${process.pid}/x`])(
    'is not known to be gone where it is of another place (%s)',
    (holder) => expect(isGone(holder, self)).toBe(false),
  );
});
