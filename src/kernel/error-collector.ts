/**
 * For work on many things at once of which none may stand in the way of another: goes on past
 * faults, and tells the first one at the end.
 */
export class ErrorCollector {
  #fault: { readonly error: unknown } | undefined;

  async run(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#fault ??= { error };
    }
  }

  /** @throws the first fault, if there was any */
  throwFirst(): void {
    if (this.#fault !== undefined) throw this.#fault.error;
  }
}
