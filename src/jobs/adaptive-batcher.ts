import { requestActivity } from '../observability';
import { pauseFor } from './retry';

export interface BatchLimits {
  readonly least: number;
  readonly most: number;
  readonly first: number;
}

/** Inputs of the batcher; specs replace them. */
export interface BatchSenses {
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Increases when this process serves a request. */
  readonly activity: () => number;
  readonly rest: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Target duration of a step without requests. Long, because the parallel work inside a step drains
 * at its end; a request interrupts the step.
 */
const STEP_ALONE_MS = 2_000;
/**
 * Target duration of a step beside requests. A request waits for the current step in the event loop
 * and behind its commit, so a step must be as short as one request.
 */
const STEP_BESIDE_MS = 4;
/**
 * Pause after a step beside requests, in multiples of that step: seven of ten requests meet no
 * step.
 */
const REST = 2;
/** Upper bound of a pause, however slow the store or Vault is. */
const LONGEST_REST_MS = 250;
const GROWTH = 4;
/**
 * For this time after the last request, further requests are expected. Between two steps of a few
 * milliseconds usually none arrives.
 */
const COMPANY_MS = 1_000;

/** Instructions for one step. */
export interface BatchStep {
  /** Maximum number of items. */
  readonly size: number;
  /**
   * Polled by a long step during its work. False when a request arrives or the job must stop; the
   * next step does the rest.
   */
  readonly goesOn: () => boolean;
}

/**
 * Controls the batch size of a job and the pause between batches.
 * Without requests a job uses the full capacity. While the process serves requests, the job works
 * in small steps with longer pauses, so that administrators need not postpone a rotation. A slow
 * store or Vault also gets smaller batches.
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
    // Ignores the request that started the job.
    this.#activity = senses.activity();
  }

  /** Runs one step of the job and the pause after it; an abort of the signal ends the pause. */
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
    // An interrupted step does not measure its batch size.
    else if (this.#isAlone()) this.#alone = this.#adapted(this.#alone, took, STEP_ALONE_MS);
    if (!this.#isAlone()) await rest(Math.min(REST * took, LONGEST_REST_MS), signal);
    return result;
  }

  /** True if no request was served recently. */
  #isAlone(): boolean {
    const { now, activity } = this.senses;
    const [time, current] = [now(), activity()];
    if (current !== this.#activity) this.#lastServed = time;
    this.#activity = current;
    return time - this.#lastServed >= COMPANY_MS;
  }

  /**
   * Moves the size towards the target duration. One measurement raises it at most by GROWTH and at
   * most halves it.
   */
  #adapted(size: number, took: number, wanted: number): number {
    const factor = Math.min(GROWTH, Math.max(0.5, wanted / Math.max(took, 1)));
    const { least, most } = this.limits;
    return Math.round(Math.min(most, Math.max(least, size * factor)));
  }
}
