import { setTimeout as delay } from 'node:timers/promises';
import { Clock, DomainError, newId, SECOND } from '../../kernel';

/**
 * The limiter's decision about an attempt. `wait`: the limit is reached only if all pending
 * attempts fail; `behind` lists those.
 */
export type Admission<Counts> =
  | { readonly verdict: 'admitted'; readonly counts: Counts }
  | { readonly verdict: 'wait'; readonly retryAfterMs: number; readonly behind: readonly string[] }
  | { readonly verdict: 'refused'; readonly retryAfterMs: number };

/**
 * Counts attempts and decides about the next one. Pure: each method returns the counts to store.
 * An attempt reserves its place before the check, so that parallel guesses get no more tries than
 * sequential ones.
 */
export interface AttemptLimiter<Counts> {
  admit(counts: Counts, id: string, now: number): Admission<Counts>;
  /** The check failed. */
  failed(counts: Counts, id: string, now: number): Counts;
  /**
   * The check succeeded without clearing earlier failures, or did not run: returns the reservation.
   */
  released(counts: Counts, id: string, now: number): Counts;
  /** The check succeeded and clears all earlier failures. */
  cleared(counts: Counts, id: string, now: number): Counts;
}

export type Settlement = 'failed' | 'released' | 'cleared';

/**
 * Storage of counts, changed by compare-and-set. `edit` may run again; it returns undefined to
 * change nothing.
 */
export interface CounterStore<Counts> {
  change(edit: (counts: Counts) => Counts | undefined): Promise<void>;
}

export interface Checked<T> {
  readonly settle: Settlement;
  readonly value: T;
}

/** How long an attempt waits for pending attempts before it is rejected. */
const PATIENCE_MS = 2 * SECOND;
const POLL_MS = 30;

/**
 * Runs `check` as one counted attempt. If `check` throws (a dependency is unavailable), the attempt
 * does not count.
 * @throws DomainError `too_many_attempts`; errors of `check` and of the counter store
 */
export async function attempt<Counts, T>(
  meter: AttemptLimiter<Counts>,
  ledger: CounterStore<Counts>,
  clock: Clock,
  check: () => Promise<Checked<T>>,
): Promise<T> {
  const id = await admitted(meter, ledger, clock);
  let settle: Settlement = 'released';
  try {
    const checked = await check();
    settle = checked.settle;
    return checked.value;
  } finally {
    await ledger.change((counts) => meter[settle](counts, id, clock.now()));
  }
}

async function admitted<Counts>(
  meter: AttemptLimiter<Counts>,
  ledger: CounterStore<Counts>,
  clock: Clock,
): Promise<string> {
  const id = newId();
  // A duration by a monotonic clock, so that jumps of the wall clock do not affect it.
  let giveUpAt = performance.now() + PATIENCE_MS;
  let before: readonly string[] = [];
  for (;;) {
    const answer = await ask(meter, ledger, clock, id);
    if (answer.verdict === 'admitted') return id;
    if (answer.verdict === 'refused') throw tooManyAttempts(answer.retryAfterMs);
    const { behind } = answer;
    // A pending attempt ended but another one was admitted: restart the timeout while the queue
    // moves.
    if (before.some((other) => !behind.includes(other))) giveUpAt = performance.now() + PATIENCE_MS;
    else if (performance.now() >= giveUpAt) throw tooManyAttempts(answer.retryAfterMs);
    before = behind;
    await delay(POLL_MS * (0.5 + Math.random()));
  }
}

/**
 * Changes nothing.
 * @throws DomainError `too_many_attempts` if an attempt would be rejected whatever the result of
 * the pending ones
 */
export async function requireAdmission<Counts>(
  meter: AttemptLimiter<Counts>,
  ledger: CounterStore<Counts>,
  clock: Clock,
): Promise<void> {
  let refusedFor: number | undefined;
  await ledger.change((counts) => {
    const answer = meter.admit(counts, '', clock.now());
    refusedFor = answer.verdict === 'refused' ? answer.retryAfterMs : undefined;
    return undefined;
  });
  if (refusedFor !== undefined) throw tooManyAttempts(refusedFor);
}

async function ask<Counts>(
  meter: AttemptLimiter<Counts>,
  ledger: CounterStore<Counts>,
  clock: Clock,
  id: string,
): Promise<Admission<Counts>> {
  let answer: Admission<Counts> = { verdict: 'refused', retryAfterMs: SECOND };
  await ledger.change((counts) => {
    answer = meter.admit(counts, id, clock.now());
    return answer.verdict === 'admitted' ? answer.counts : undefined;
  });
  return answer;
}

export const tooManyAttempts = (retryAfterMs: number): DomainError =>
  new DomainError('too_many_attempts', {
    detail: 'Too many attempts. Try again later.',
    retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / SECOND)),
  });
