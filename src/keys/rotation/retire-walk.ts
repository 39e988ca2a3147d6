import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, MINUTE, SECOND } from '../../kernel';
import type { MasterKeyDoc } from '../master-key';

/** So long a request waits for a walk, below the time that clients and proxies usually give an answer. */
const ANSWER_MS = 25 * SECOND;
/** How long the outcome of a walk waits for whoever asks again. */
const KEPT_MS = 15 * MINUTE;

interface Walk {
  readonly version: number;
  readonly outcome: Promise<MasterKeyDoc>;
  /** By performance.now(); Infinity while it goes on. */
  keptUntil: number;
}

/**
 * The walk over all keys before a retire: one at a time in a process, and for as long as it takes. A request waits for it for a bounded
 * time; where that is too short the walk goes on, ends nothing, and its outcome waits for the next request. It stays good, since the
 * decision holds only at the master key's row as it was before the walk.
 */
export class RetireWalk {
  /** Changed by tests alone. */
  answerMs = ANSWER_MS;
  #walk: Walk | undefined;

  /**
   * The row as `walk` found it before it began. `until`: by performance.now(), when the answer has to be there.
   * @throws what `walk` throws; DomainError `kms_unavailable` where it takes longer, `conflict` where another version is walked for.
   */
  async row(version: number, until: number, walk: () => Promise<MasterKeyDoc>): Promise<MasterKeyDoc> {
    const current = this.#current(version) ?? this.#begun(version, walk);
    if (current.version !== version) throw anotherWalk();
    const timer = new AbortController();
    const late = sleep(Math.max(0, until - performance.now()), undefined, { signal: timer.signal });
    late.catch(() => undefined);
    try {
      const row = await Promise.race([current.outcome, late]);
      if (row === undefined) throw stillWalking();
      return row;
    } finally {
      timer.abort();
      // Taken, or refused: the next request looks again.
      if (current.keptUntil < Infinity && this.#walk === current) this.#walk = undefined;
    }
  }

  /** What was found for another version, or is old, is nothing to wait for. */
  #current(version: number): Walk | undefined {
    const { keptUntil = 0, version: walkedFor } = this.#walk ?? {};
    const isOver = keptUntil < Infinity && (walkedFor !== version || performance.now() > keptUntil);
    if (isOver) this.#walk = undefined;
    return this.#walk;
  }

  #begun(version: number, walk: () => Promise<MasterKeyDoc>): Walk {
    const begun: Walk = { version, outcome: walk(), keptUntil: Infinity };
    const keep = (): void => void (begun.keptUntil = performance.now() + KEPT_MS);
    begun.outcome.then(keep, keep);
    this.#walk = begun;
    return begun;
  }

  get deadline(): number {
    return performance.now() + this.answerMs;
  }
}

const stillWalking = (): DomainError =>
  new DomainError('kms_unavailable', {
    detail: 'All keys are being looked at, which takes longer than an answer may. Nothing has ended: ask again.',
    retryAfterSeconds: 30,
  });

const anotherWalk = (): DomainError =>
  new DomainError('conflict', {
    detail: 'All keys are being looked at for another version: retire that one first, or ask again later.',
    retryAfterSeconds: 60,
  });
