import { SecretBytes } from '../../../kernel';

/** The copy of the master key that this process works with: zeroed when its time is over, and when a newer one takes its place. */
export class SoftwareKeys {
  #keys = new Map<number, SecretBytes>();
  #timer: NodeJS.Timeout | undefined;

  /** 0 keeps a copy for no longer than those who waited for it need to use it. */
  constructor(private readonly maxAgeMs: number) {}

  get(version: number): SecretBytes | undefined {
    return this.#keys.get(version);
  }

  hold(keys: Map<number, SecretBytes>): void {
    this.forget();
    this.#keys = keys;
    // With 0 the timer fires after those who wait for this very read have gone on, since they do so before any timer.
    this.#timer = setTimeout(() => this.forget(), this.maxAgeMs);
    this.#timer.unref();
  }

  forget(): void {
    clearTimeout(this.#timer);
    for (const key of this.#keys.values()) key.destroy();
    this.#keys = new Map();
  }
}
