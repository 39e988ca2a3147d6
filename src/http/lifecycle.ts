import { DomainError } from '../kernel';

/** Where the service stands between its start and its end. The gate and /readyz ask it; bootstrap moves it. */
export class Lifecycle {
  #starting: DomainError | undefined = new DomainError('store_unavailable', { detail: 'The service is starting.' });
  #stopping = false;

  /** Why the start has not come to its end yet, as what it waits for said it. */
  waitsFor(reason: DomainError): void {
    this.#starting = reason;
  }

  started(): void {
    this.#starting = undefined;
  }

  get hasStarted(): boolean {
    return this.#starting === undefined;
  }

  stop(): void {
    this.#stopping = true;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** What a request is refused with now; undefined where it may be served. */
  get refusal(): DomainError | undefined {
    return this.#stopping ? new DomainError('shutting_down') : this.#starting;
  }
}
