/** One dependency that /readyz asks. Houses register theirs; health/ calls them. */
export interface ReadinessProbe {
  /** As it is named in /readyz: `store`, `kms`, `blobs`, `audit`. */
  readonly name: string;
  /** Resolves when the dependency serves; rejects otherwise. Bounded to 1 second by the caller. */
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
