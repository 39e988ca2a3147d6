import { requestActivity } from '../observability';
import { pauseFor } from './retry';

export interface BatchLimits {
  readonly least: number;
  readonly most: number;
  readonly first: number;
}

/** What a pace looks at; a spec moves these itself. */
export interface BatchSenses {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Rises when somebody else is served by this process. */
  readonly activity: () => number;
  readonly rest: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Nobody is served: a step is long, since the parallel work inside it drains at its end. A request breaks it off. */
const STEP_ALONE_MS = 2_000;
/** Somebody is served: a request waits for the step that it meets, in the event loop and behind its commit, so it is kept to the length of one request. */
const STEP_BESIDE_MS = 4;
/** Rest after a step beside others, in lengths of that step: of ten requests seven meet none. */
const REST = 2;
/** However slow the store or Vault is, a rest does not grow beyond this. */
const LONGEST_REST_MS = 250;
const GROWTH = 4;
/** So long after the last request more of them are to be expected: between two steps of a few milliseconds mostly none comes. */
const COMPANY_MS = 1_000;

/** What a step is asked to do. */
export interface BatchStep {
  /** Items, at most. */
  readonly size: number;
  /** Asked by a long step in the midst of its work. False as soon as somebody is served, or the job is to stop: the rest is left to the next step. */
  readonly goesOn: () => boolean;
}

/**
 * How much a job does at a time, and how long it rests in between. Alone it takes what it can get. As soon as the process serves requests it
 * works in small steps and rests longer than it works: background work that makes readers wait would make an administrator put a rotation
 * off, and a store or a Vault that is slow for others too is not the place for a large batch.
 */
export class AdaptiveBatcher {
  #alone: number;
  #beside: number;
  #activity: number;
  #lastServed = -Infinity;

  constructor(
    private readonly limits: BatchLimits,
    private readonly senses: BatchSenses = { now: () => performance.now(), activity: requestActivity, rest: pauseFor },
  ) {
    this.#alone = limits.first;
    this.#beside = limits.least;
    // The request that began the job is no company.
    this.#activity = senses.activity();
  }

  /** One step of the job, and the rest that follows it; the rest ends when the signal aborts. */
  async step<T>(work: (step: BatchStep) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { now, rest } = this.senses;
    const begun = now();
    const isAlone = this.#isAlone();
    const result = await work({
      size: isAlone ? this.#alone : this.#beside,
      goesOn: () => signal?.aborted !== true && (!isAlone || this.#isAlone()),
    });
    const took = now() - begun;
    if (!isAlone) this.#beside = this.#adapted(this.#beside, took, STEP_BESIDE_MS);
    // A step that was broken off says nothing of its size.
    else if (this.#isAlone()) this.#alone = this.#adapted(this.#alone, took, STEP_ALONE_MS);
    if (!this.#isAlone()) await rest(Math.min(REST * took, LONGEST_REST_MS), signal);
    return result;
  }

  /** Whether nobody has been served for a while. */
  #isAlone(): boolean {
    const { now, activity } = this.senses;
    const [time, current] = [now(), activity()];
    if (current !== this.#activity) this.#lastServed = time;
    this.#activity = current;
    return time - this.#lastServed >= COMPANY_MS;
  }

  /** Approaches the wanted length. A single measurement changes the size by GROWTH upwards and by half downwards at most. */
  #adapted(size: number, took: number, wanted: number): number {
    const factor = Math.min(GROWTH, Math.max(0.5, wanted / Math.max(took, 1)));
    const { least, most } = this.limits;
    return Math.round(Math.min(most, Math.max(least, size * factor)));
  }
}
