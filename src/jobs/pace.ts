import { requestActivity } from '../observability';
import { pauseFor } from './retry';

export interface PaceLimits {
  readonly least: number;
  readonly most: number;
  readonly first: number;
}

/** What a pace looks at; a spec moves these itself. */
export interface PaceSenses {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Rises when somebody else is served by this process. */
  readonly activity: () => number;
  readonly rest: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Nobody is served: long enough that what a step costs beside its work is little, short enough that a pause is felt at once. */
const STEP_ALONE_MS = 100;
/** Somebody is served: a request waits for the step that it meets, in the event loop and behind its commit, so it is kept to the length of a few requests. */
const STEP_BESIDE_MS = 8;
/** Rest after a step beside others, in lengths of that step: of ten requests seven meet none. */
const REST = 2;
/** However slow the store or Vault is, a rest does not grow beyond this. */
const LONGEST_REST_MS = 250;

/**
 * How much a job does at a time, and how long it rests in between. Alone it takes what it can get. As soon as the process serves requests it
 * works in small steps and rests longer than it works: background work that makes readers wait would make an administrator put a rotation
 * off, and a store or a Vault that is slow for others too is not the place for a large batch.
 */
export class Pace {
  #size: number;

  constructor(
    private readonly limits: PaceLimits,
    private readonly senses: PaceSenses = { now: () => performance.now(), activity: requestActivity, rest: pauseFor },
  ) {
    this.#size = limits.first;
  }

  /** Items for the next step. */
  get size(): number {
    return this.#size;
  }

  /** One step of the job, and the rest that follows it; the rest ends when the signal aborts. */
  async step<T>(work: (size: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { now, activity, rest } = this.senses;
    const [begun, before] = [now(), activity()];
    const result = await work(this.#size);
    const [took, isAlone] = [now() - begun, activity() === before];
    this.#adapt(took, isAlone ? STEP_ALONE_MS : STEP_BESIDE_MS);
    if (!isAlone) await rest(Math.min(REST * took, LONGEST_REST_MS), signal);
    return result;
  }

  /** Towards the wanted length, by half or double at most: one slow step is no reason to crawl, one quick one none to run. */
  #adapt(took: number, wanted: number): void {
    const factor = Math.min(2, Math.max(0.5, wanted / Math.max(took, 1)));
    const { least, most } = this.limits;
    this.#size = Math.round(Math.min(most, Math.max(least, this.#size * factor)));
  }
}
