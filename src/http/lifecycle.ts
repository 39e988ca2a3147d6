import { DomainError } from '../kernel';

/**
 * The state of the service between start and stop. The request guard and /readyz read it; bootstrap
 * sets it.
 */
export class Lifecycle {
  #starting: DomainError | undefined = new DomainError('store_unavailable', { detail: 'The service is starting.' });
  #stopping = false;

  /** The reason why the start is not complete, as reported by the pending dependency. */
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

  /** The error for requests at this time; undefined if requests are served. */
  get refusal(): DomainError | undefined {
    return this.#stopping ? new DomainError('shutting_down') : this.#starting;
  }
}
