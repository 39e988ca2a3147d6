import { MINUTE, SECOND } from '../../kernel';
import { lockout, LOCKOUT_LIMIT, LOCKOUT_MS, LockoutCounts } from './lockout';

const NONE: LockoutCounts = { failures: 0, lastFailure: undefined, reservations: [] };
const T = 1_000_000_000_000;

function admitted(counts: LockoutCounts, id: string, now: number): LockoutCounts {
  const answer = lockout.admit(counts, id, now);
  if (answer.verdict !== 'admitted') throw new Error(`the attempt was to be admitted, not: ${answer.verdict}`);
  return answer.counts;
}

const failing = (counts: LockoutCounts, now: number): LockoutCounts =>
  lockout.failed(admitted(counts, 'x', now), 'x', now);

function after(failures: number, at = T): LockoutCounts {
  let counts = NONE;
  for (let count = 0; count < failures; count += 1) counts = failing(counts, at);
  return counts;
}

describe('The lockout', () => {
  it('admits after four failures', () => {
    expect(lockout.admit(after(4), 'x', T).verdict).toBe('admitted');
  });

  it('refuses after five failures, for 15 minutes from the last of them', () => {
    const locked = failing(after(4), T + MINUTE);
    expect(lockout.admit(locked, 'x', T + MINUTE)).toEqual({ verdict: 'refused', retryAfterMs: LOCKOUT_MS });
    expect(lockout.admit(locked, 'x', T + 16 * MINUTE - 1)).toEqual({ verdict: 'refused', retryAfterMs: 1 });
    expect(lockout.admit(locked, 'x', T + 16 * MINUTE).verdict).toBe('admitted');
  });

  it('starts from nothing once it is over', () => {
    const once = failing(after(5), T + LOCKOUT_MS);
    expect(once).toEqual({ failures: 1, lastFailure: T + LOCKOUT_MS, reservations: [] });
  });

  it('counts failures in a row: a success in between forgets them', () => {
    const cleared = lockout.cleared(admitted(after(4), 'x', T), 'x', T);
    expect(cleared).toEqual(NONE);
  });

  it('keeps what failed when an attempt is given back that settles nothing', () => {
    expect(lockout.released(admitted(after(3), 'x', T), 'x', T)).toEqual(after(3));
  });

  it('lets no more than five into the check at once', () => {
    let counts = NONE;
    for (let id = 0; id < LOCKOUT_LIMIT; id += 1) counts = admitted(counts, String(id), T);
    expect(lockout.admit(counts, 'sixth', T).verdict).toBe('wait');
  });

  it('counts failures and attempts in flight together', () => {
    let counts = after(3);
    counts = admitted(admitted(counts, 'a', T), 'b', T);
    expect(lockout.admit(counts, 'c', T).verdict).toBe('wait');
    expect(lockout.admit(lockout.cleared(counts, 'a', T), 'c', T).verdict).toBe('admitted');
  });

  describe('with a reservation whose process died', () => {
    const orphaned = admitted(after(4), 'orphan', T + SECOND);

    it('waits for it until it is 10 seconds old', () => {
      expect(lockout.admit(orphaned, 'x', T + 11 * SECOND - 1).verdict).toBe('wait');
    });

    it('takes it for a failure then, without moving the time of the last one', () => {
      const answer = lockout.admit(orphaned, 'x', T + 11 * SECOND);
      expect(answer).toEqual({ verdict: 'refused', retryAfterMs: LOCKOUT_MS - 11 * SECOND });
      expect(lockout.admit(orphaned, 'x', T + LOCKOUT_MS).verdict).toBe('admitted');
    });

    it('keeps counting it once it has been folded into the failures', () => {
      const lone = admitted(NONE, 'orphan', T);
      const later = failing(lone, T + 20 * SECOND);
      expect(later).toEqual({ failures: 2, lastFailure: T + 20 * SECOND, reservations: [] });
    });

    it('forgets it with the next success', () => {
      const success = lockout.cleared(admitted(admitted(NONE, 'orphan', T), 'x', T + MINUTE), 'x', T + MINUTE);
      expect(success).toEqual(NONE);
    });

    it('does not count it twice when it was only slow', () => {
      const folded = failing(admitted(NONE, 'slow', T), T + 20 * SECOND);
      expect(lockout.failed(folded, 'slow', T + 21 * SECOND)).toEqual(folded);
    });
  });

  describe('when the wall clock jumps', () => {
    it('stays locked across a small step back', () => {
      expect(lockout.admit(after(5), 'x', T - MINUTE).verdict).toBe('refused');
    });

    it('never asks for a wait of more than 15 minutes', () => {
      const answer = lockout.admit(after(5), 'x', T - 14 * MINUTE);
      expect(answer).toEqual({ verdict: 'refused', retryAfterMs: LOCKOUT_MS });
    });

    it('does not lock anybody out for hours after a jump of two hours back', () => {
      expect(lockout.admit(after(5), 'x', T - 120 * MINUTE).verdict).toBe('admitted');
    });
  });
});
