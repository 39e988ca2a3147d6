import { setTimeout as delay } from 'node:timers/promises';
import { DomainError, SystemClock } from '../../kernel';
import { lockout, LockoutCounts } from './lockout';
import { attempt, Checked, CounterStore } from './attempt-limiter';

const clock = new SystemClock();

class Counts implements CounterStore<LockoutCounts> {
  now: LockoutCounts = { failures: 0, lastFailure: undefined, reservations: [] };

  change(edit: (counts: LockoutCounts) => LockoutCounts | undefined): Promise<void> {
    this.now = edit(this.now) ?? this.now;
    return Promise.resolve();
  }
}

const run = <T>(counts: Counts, check: () => Promise<Checked<T>>): Promise<T> => attempt(lockout, counts, clock, check);

describe('A counted attempt', () => {
  it('reserves before it checks', async () => {
    const counts = new Counts();
    await run(counts, () => {
      expect(counts.now.reservations.length).toBe(1);
      return Promise.resolve({ settle: 'cleared', value: undefined });
    });
    expect(counts.now.reservations).toEqual([]);
  });

  it('counts a failure before its caller hears of it', async () => {
    const counts = new Counts();
    const heard = await run(counts, () => Promise.resolve({ settle: 'failed', value: 'wrong' }));
    expect({ heard, failures: counts.now.failures }).toEqual({ heard: 'wrong', failures: 1 });
  });

  it('gives back what could not be checked, and throws what stopped it', async () => {
    const counts = new Counts();
    const out = new DomainError('kms_unavailable');
    await expect(run(counts, () => Promise.reject(out))).rejects.toBe(out);
    expect(counts.now).toEqual({ failures: 0, lastFailure: undefined, reservations: [] });
  });

  it('checks five of a hundred wrong guesses at once, and refuses the rest', async () => {
    const counts = new Counts();
    let checks = 0;
    const guess = async (): Promise<Checked<undefined>> => {
      checks += 1;
      await Promise.resolve();
      return { settle: 'failed', value: undefined };
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => run(counts, guess)));
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect({ checks, refused: refused.length }).toEqual({ checks: 5, refused: 95 });
    expect(new Set(refused.map(({ reason }) => (reason as DomainError).code))).toEqual(new Set(['too_many_attempts']));
  });

  it('lets those beyond the limit wait for attempts in flight, and go on when these succeed', async () => {
    const counts = new Counts();
    let checks = 0;
    const right = async (): Promise<Checked<number>> => {
      await Promise.resolve();
      return { settle: 'cleared', value: (checks += 1) };
    };
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => run(counts, right)));
    expect(outcomes.length).toBe(20);
  });

  it('waits beyond two seconds for as long as others come to their end', async () => {
    const counts = new Counts();
    const slow = async (): Promise<Checked<true>> => {
      await delay(900);
      return { settle: 'cleared', value: true };
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => run(counts, slow)));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('refuses when those in flight do not come to an end', async () => {
    const counts = new Counts();
    const reservations = Array.from({ length: 5 }, (_, id) => ({ id: String(id), at: clock.now() }));
    counts.now = { failures: 0, lastFailure: undefined, reservations };
    const check = jest.fn();
    await expect(run(counts, check)).rejects.toMatchObject({ code: 'too_many_attempts', retryAfterSeconds: 2 });
    expect(check).not.toHaveBeenCalled();
  });
});
