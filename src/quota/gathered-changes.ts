import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, SECOND } from '../kernel';
import { Collection, Doc, DuplicateKey } from '../store';

/**
 * The row as it is to be; undefined for none. Nothing but a computation: it may run again. Throws
 * what its own caller is told.
 */
type Change<T> = (row: T | undefined) => T | undefined;

/**
 * Reads what the change depends on: after the row was read, and before it is written on the
 * condition that it is still the same.
 */
type Look = () => Promise<void>;

interface Waiting<T> {
  readonly change: Change<T>;
  readonly look: Look | undefined;
  readonly resolve: (wasThere: boolean) => void;
  readonly reject: (error: unknown) => void;
}

interface Applied<T> {
  readonly row: T | undefined;
  readonly refusals: ReadonlyMap<Waiting<T>, unknown>;
}

const LONGEST_PAUSE_MS = 16;
/**
 * Far beyond what any number of processes needs: a row that moves on each time for so long is a
 * fault, and no race.
 */
const GIVE_UP_MS = 30 * SECOND;

/**
 * Changes of rows that many want to change at once. Those of one process that come while a write of
 * their row is under way are made by the next write together, so the row has one writer a process,
 * however many wait. Writers of other processes meet at the revision.
 */
export class GatheredChanges<T extends Doc> {
  /** Who waits for the next write of a row; an entry as long as one is under way. */
  readonly #lines = new Map<string, Waiting<T>[]>();

  constructor(private readonly rows: Collection<T>) {}

  /**
   * Resolves when the change is durable, with whether the row was there before.
   * @throws what `change` and the store throw.
   */
  make(id: string, change: Change<T>, look?: Look): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const waiting = { change, look, resolve, reject };
      const line = this.#lines.get(id);
      if (line !== undefined) {
        line.push(waiting);
        return;
      }
      this.#lines.set(id, [waiting]);
      void this.#serve(id);
    });
  }

  async #serve(id: string): Promise<void> {
    for (let line = this.#lines.get(id); line !== undefined && line.length > 0; line = this.#lines.get(id)) {
      this.#lines.set(id, []);
      await this.#together(id, line);
    }
    this.#lines.delete(id);
  }

  async #together(id: string, line: readonly Waiting<T>[]): Promise<void> {
    try {
      const giveUpAt = performance.now() + GIVE_UP_MS;
      for (let lost = 0; ; lost += 1) {
        const before = await this.rows.find('_id', id);
        const { row, refusals } = applied(before, line, await looked(line));
        if (await this.#stored(before, row)) {
          settle(line, refusals, before !== undefined);
          return;
        }
        if (performance.now() > giveUpAt) throw stillContended();
        await sleep(Math.random() * Math.min(LONGEST_PAUSE_MS, 2 ** lost));
      }
    } catch (error) {
      for (const { reject } of line) reject(error);
    }
  }

  /** False where another process came before. */
  async #stored(before: T | undefined, row: T | undefined): Promise<boolean> {
    if (row === before) return true;
    if (before === undefined) return row === undefined || this.#inserted(row);
    if (row === undefined) return this.rows.remove(before._id, before.rev);
    return (await this.rows.replace({ ...row, rev: before.rev })) !== undefined;
  }

  async #inserted({ rev: _rev, ...draft }: T): Promise<boolean> {
    try {
      await this.rows.insert(draft);
      return true;
    } catch (error) {
      if (error instanceof DuplicateKey) return false;
      throw error;
    }
  }
}

/** @returns the changes whose look failed, with the error. */
async function looked<T>(line: readonly Waiting<T>[]): Promise<ReadonlyMap<Waiting<T>, unknown>> {
  const failed = new Map<Waiting<T>, unknown>();
  const look = async (waiting: Waiting<T>): Promise<void> => {
    try {
      await waiting.look?.();
    } catch (error) {
      failed.set(waiting, error);
    }
  };
  await Promise.all(line.map(look));
  return failed;
}

/** All changes in the order in which they came, those that refuse left out. */
function applied<T>(
  before: T | undefined,
  line: readonly Waiting<T>[],
  failed: ReadonlyMap<Waiting<T>, unknown>,
): Applied<T> {
  const refusals = new Map(failed);
  let row = before;
  for (const waiting of line) {
    if (refusals.has(waiting)) continue;
    try {
      row = waiting.change(row);
    } catch (refusal) {
      refusals.set(waiting, refusal);
    }
  }
  return { row, refusals };
}

function settle<T>(line: readonly Waiting<T>[], refusals: Applied<T>['refusals'], wasThere: boolean): void {
  for (const waiting of line) {
    if (refusals.has(waiting)) waiting.reject(refusals.get(waiting));
    else waiting.resolve(wasThere);
  }
}

const stillContended = (): DomainError =>
  new DomainError('store_unavailable', { detail: 'Concurrent modification. Retry.', retryAfterSeconds: 1 });
