import { MINUTE, SECOND } from '../../kernel';
import { budget, BudgetCounts, SECOND_FACTOR_LIMITS } from './budget';

const meter = budget(SECOND_FACTOR_LIMITS);
const NONE: BudgetCounts = { failures: [], reservations: [] };
const T = 1_000_000_000_000;

function admitted(counts: BudgetCounts, id: string, now: number): BudgetCounts {
  const answer = meter.admit(counts, id, now);
  if (answer.verdict !== 'admitted') throw new Error(`the attempt was to be admitted, not: ${answer.verdict}`);
  return answer.counts;
}

const failing = (counts: BudgetCounts, now: number): BudgetCounts => meter.failed(admitted(counts, 'x', now), 'x', now);

function spent(failures: number, everyMs: number): BudgetCounts {
  let counts = NONE;
  for (let at = 0; at < failures; at += 1) counts = failing(counts, T + at * everyMs);
  return counts;
}

describe('The budget of second factors', () => {
  it('allows nine failures in 15 minutes and a tenth', () => {
    expect(meter.admit(spent(9, SECOND), 'x', T + MINUTE).verdict).toBe('admitted');
  });

  it('refuses after ten, until the oldest of them is 15 minutes old', () => {
    const all = spent(10, SECOND);
    expect(meter.admit(all, 'x', T + MINUTE)).toEqual({ verdict: 'refused', retryAfterMs: 14 * MINUTE });
    expect(meter.admit(all, 'x', T + 15 * MINUTE).verdict).toBe('admitted');
    expect(meter.admit(failing(all, T + 15 * MINUTE), 'x', T + 15 * MINUTE).verdict).toBe('refused');
  });

  it('does not add up failures that lie further apart', () => {
    expect(spent(40, 2 * MINUTE).failures.length).toBeLessThanOrEqual(8);
  });

  it('lets ten into the check at once and no more', () => {
    let counts = NONE;
    for (let id = 0; id < 10; id += 1) counts = admitted(counts, String(id), T);
    expect(meter.admit(counts, 'eleventh', T).verdict).toBe('wait');
  });

  it('takes an attempt whose process died for a failure after 10 seconds, as of when it began', () => {
    const orphaned = admitted(NONE, 'orphan', T);
    expect(failing(orphaned, T + 20 * SECOND).failures).toEqual([T, T + 20 * SECOND]);
  });

  it('is whole again after a success', () => {
    expect(meter.cleared(admitted(spent(9, SECOND), 'x', T), 'x', T)).toEqual(NONE);
  });

  it('gives back an attempt that was none', () => {
    expect(meter.released(admitted(spent(9, 0), 'x', T), 'x', T)).toEqual(spent(9, 0));
  });

  it('does not refuse for longer than its window after the clock went back', () => {
    const answer = meter.admit(spent(10, 0), 'x', T - 10 * MINUTE);
    expect(answer).toEqual({ verdict: 'refused', retryAfterMs: 15 * MINUTE });
    expect(meter.admit(spent(10, 0), 'x', T - 20 * MINUTE).verdict).toBe('admitted');
  });
});
