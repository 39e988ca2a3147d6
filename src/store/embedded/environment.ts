import { mkdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { open, RootDatabase } from 'lmdb';
import { DomainError, StartupError } from '../../kernel';
import { CLOSE_DEADLINE, OPERATION_DEADLINE, withDeadline } from '../deadline';
import { checkDatabaseFile } from './database-file';
import { watchWrite } from './exit-guard';
import { reasonOf, silenceCommitError, storeFault } from './lmdb-faults';

/** The one LMDB database: all collections lie in it under prefixes, so no `maxDbs` limits how many there are. */
export type Rows = RootDatabase<unknown, Buffer>;

/** LMDB opened so that a resolved write is on disk, with its faults told in the terms of the store port. */
export class Environment {
  /** For use inside `write` only; reads go through `fresh`. */
  readonly rows: Rows;
  #isClosed = false;
  #lastTurn: Promise<void> = Promise.resolve();

  /** @throws StartupError where the folder cannot be used. */
  constructor(
    private readonly folder: string,
    private readonly admit: (rows: Rows) => void = () => undefined,
  ) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      checkDatabaseFile(folder);
      this.rows = open<unknown, Buffer>({
        path: folder,
        keyEncoding: 'binary',
        encoding: 'json',
        // A write resolves when it is flushed, not before.
        overlappingSync: false,
        // Else a full disk shows up as unhandled rejections beside the rejected write.
        eventTurnBatching: false,
      });
    } catch (error) {
      throw new StartupError(`The embedded store in ${folder} cannot be opened (${reasonOf(error)}).`, {
        cause: error,
      });
    }
  }

  /** What is committed now, also by other processes: lmdb keeps one read transaction for a turn of the event loop otherwise. */
  fresh(): Rows {
    this.#refuseAfterClose();
    this.rows.resetReadTxn();
    return this.rows;
  }

  /**
   * Runs `act` inside a write transaction and resolves when that is durable. `act` is synchronous and makes its checks itself: nothing
   * else writes meanwhile, in no process. `admit` is asked first, in the same transaction. A child transaction, because in a plain one a throw keeps the puts before it.
   */
  async write<T>(act: () => T, deadline = OPERATION_DEADLINE): Promise<T> {
    this.#refuseAfterClose();
    try {
      const committed = this.rows.childTransaction(() => {
        this.admit(this.rows);
        return act();
      });
      committed.catch(silenceCommitError);
      watchWrite(committed);
      return await withDeadline(committed, deadline);
    } catch (error) {
      throw await this.fault(error);
    }
  }

  /**
   * Resolves in a turn of the event loop that no other caller has. A read is synchronous, so each long one waits for a turn of its own:
   * otherwise many walks at once would keep requests out for as long as all their pages take together.
   */
  ownTurn(): Promise<void> {
    this.#lastTurn = this.#lastTurn.then(() => nextTurn());
    return this.#lastTurn;
  }

  /** What the port throws for `error`. */
  fault(error: unknown): Promise<unknown> {
    return storeFault(error, this.folder);
  }

  /** Reads one transaction through, so the copy is whole however long it takes. A file copied by hand while there are writes is not. */
  async copyTo(folder: string): Promise<void> {
    this.#refuseAfterClose();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await this.rows.backup(folder, false);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await withDeadline(this.rows.close(), CLOSE_DEADLINE).catch(() => undefined);
  }

  /** lmdb does not check: a read of a closed environment ends the process with a segmentation fault. */
  #refuseAfterClose(): void {
    if (this.#isClosed) throw new DomainError('store_unavailable', { detail: 'The store is closed.' });
  }
}
