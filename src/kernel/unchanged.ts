import { Clock } from './clock';

/**
 * How long signs of life of others have stayed as they are, by this process's own monotonic clock.
 * The clocks of two processes are never compared, so one whose time of day is wrong takes nobody
 * for dead. The first look only begins the watch.
 */
export class Unchanged {
  readonly #seen = new Map<string, { readonly mark: string; readonly since: number }>();

  constructor(private readonly clock: Clock) {}

  /** Milliseconds since this process first saw `mark` under this id; 0 where it is new. */
  ms(id: string, mark: string): number {
    const now = this.clock.elapsed();
    const seen = this.#seen.get(id);
    if (seen?.mark === mark) return now - seen.since;
    this.#seen.set(id, { mark, since: now });
    return 0;
  }

  forget(id: string): void {
    this.#seen.delete(id);
  }

  /** Forgets all but these: the others have ended. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }
}
