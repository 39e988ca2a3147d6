import { setTimeout as delay } from 'node:timers/promises';
import { Clock, DomainError, newId, SECOND } from '../../kernel';

/**
 * What a meter says to one more attempt. `wait`: there is room only if one of the attempts `behind` which it stands succeeds, which are
 * being checked just now.
 */
export type Admission<Counts> =
  | { readonly verdict: 'admitted'; readonly counts: Counts }
  | { readonly verdict: 'wait'; readonly retryAfterMs: number; readonly behind: readonly string[] }
  | { readonly verdict: 'refused'; readonly retryAfterMs: number };

/**
 * Counts attempts and decides about the next one. Pure: each method gives the counts to be stored. Attempts are reserved before the
 * check, so that a hundred parallel guesses get no more tries than one after the other.
 */
export interface AttemptLimiter<Counts> {
  admit(counts: Counts, id: string, now: number): Admission<Counts>;
  /** The check said no. */
  failed(counts: Counts, id: string, now: number): Counts;
  /** The check said yes, but it does not settle what went before (or there was no check at all): the reservation is given back. */
  released(counts: Counts, id: string, now: number): Counts;
  /** The check said yes, and what failed before is forgotten. */
  cleared(counts: Counts, id: string, now: number): Counts;
}

export type Settlement = 'failed' | 'released' | 'cleared';

/** Where counts are kept: changes them by compare-and-set. `edit` may run again, and leaves them alone by returning undefined. */
export interface CounterStore<Counts> {
  change(edit: (counts: Counts) => Counts | undefined): Promise<void>;
}

export interface Checked<T> {
  readonly settle: Settlement;
  readonly value: T;
}

/** How long an attempt beyond the limit waits for one of those that are being checked to come to its end. */
const PATIENCE_MS = 2 * SECOND;
const POLL_MS = 30;

/**
 * Runs `check` as one counted attempt. When it throws (a dependency is out) the attempt was none and is given back.
 * @throws DomainError `too_many_attempts`; what `check` and the ledger throw.
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
  // The patience is a length of time and not a point in time: it holds while the wall clock jumps.
  let giveUpAt = performance.now() + PATIENCE_MS;
  let before: readonly string[] = [];
  for (;;) {
    const answer = await ask(meter, ledger, clock, id);
    if (answer.verdict === 'admitted') return id;
    if (answer.verdict === 'refused') throw tooManyAttempts(answer.retryAfterMs);
    const { behind } = answer;
    // One came to its end, and another one had more luck: a queue that moves is no reason to give up.
    if (before.some((other) => !behind.includes(other))) giveUpAt = performance.now() + PATIENCE_MS;
    else if (performance.now() >= giveUpAt) throw tooManyAttempts(answer.retryAfterMs);
    before = behind;
    await delay(POLL_MS * (0.5 + Math.random()));
  }
}

/** Changes nothing. @throws DomainError `too_many_attempts` where an attempt would be refused, whatever becomes of those in flight. */
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
