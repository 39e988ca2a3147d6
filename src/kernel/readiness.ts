/** One dependency that /readyz asks. Modules register theirs; health/ calls them. */
export interface ReadinessProbe {
  /** As it is named in /readyz: `store`, `kms`, `blobs`, `audit`. */
  readonly name: string;
  /**
   * Another probe's name: while that dependency is down its failure explains this one, which is
   * then not reported.
   */
  readonly restsOn?: string;
  /**
   * Resolves when the dependency serves; rejects otherwise. Bounded to 1 second by the caller. Asks
   * this dependency alone: a probe that waits for another one on the way blames the wrong part.
   */
  check(): Promise<void>;
}

export class Readiness {
  readonly #probes: ReadinessProbe[] = [];

  register(probe: ReadinessProbe): void {
    this.#probes.push(probe);
  }

  get probes(): readonly ReadinessProbe[] {
    return this.#probes;
  }
}
