import { SECOND } from '../kernel';

/** One failure may be a lost packet; after so many in a row nobody waits any more. */
const FAILURES_TO_OPEN = 3;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2 * SECOND;

/**
 * Keeps callers from waiting for what does not answer. After some failures in a row it is open:
 * whoever asks is refused at once, and one probe at a time, with a pause in between, finds out when
 * the other side is back. Callers never are the probe, so none of them waits.
 */
export class CircuitBreaker {
  #failures = 0;
  #pause = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #probing = false;
  /** ms of the monotonic clock: the other side asked not to be asked before. */
  #notBefore = 0;

  /**
   * `probe` resolves where the other side serves, and is bounded in time. `toldBy` gives the
   * seconds to wait that its fault names.
   */
  constructor(
    private readonly probe: () => Promise<void>,
    private readonly toldBy: (fault: unknown) => number | undefined = () => undefined,
  ) {}

  get open(): boolean {
    return this.#failures >= FAILURES_TO_OPEN;
  }

  /** How long it takes at most until a success could be found. */
  get retryAfterSeconds(): number {
    return Math.ceil(Math.max(this.#pause, this.#notBefore - performance.now()) / SECOND);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pause = FIRST_PAUSE_MS;
    this.#notBefore = 0;
    this.stop();
  }

  /** `toldSeconds`: the other side said how long to wait. The next probe comes no sooner. */
  failed(toldSeconds = 0): void {
    this.#failures += 1;
    this.#wait(toldSeconds);
    if (this.open && !this.#probing && this.#timer === undefined) this.#planProbe();
  }

  /** Ends the probes. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(seconds: number): void {
    this.#notBefore = Math.max(this.#notBefore, performance.now() + seconds * SECOND);
  }

  #planProbe(): void {
    // At random within the upper half, so that many processes do not come back at the same instant.
    const share = 0.5 + Math.random() / 2;
    this.#timer = setTimeout(
      () => void this.#tick(),
      Math.max(this.#pause * share, this.#notBefore - performance.now()),
    );
    this.#timer.unref();
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  async #tick(): Promise<void> {
    this.#timer = undefined;
    this.#probing = true;
    const served = await this.probe().then(
      () => true,
      (fault: unknown) => {
        this.#wait(this.toldBy(fault) ?? 0);
        return false;
      },
    );
    this.#probing = false;
    if (served) this.succeeded();
    else if (this.open) this.#planProbe();
  }
}
