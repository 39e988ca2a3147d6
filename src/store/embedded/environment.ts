import { mkdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { open, RootDatabase } from 'lmdb';
import { DomainError, StartupError } from '../../kernel';
import { CLOSE_DEADLINE, OPERATION_DEADLINE, withDeadline } from '../deadline';
import { checkDatabaseFile } from './database-file';
import { watchWrite } from './exit-guard';
import { reasonOf, silenceCommitError, storeFault } from './lmdb-faults';

/**
 * The single LMDB database: collections are separated by key prefixes, so `maxDbs` does not limit
 * their number.
 */
export type Rows = RootDatabase<unknown, Buffer>;

/**
 * Opens LMDB so that a resolved write is on disk, and maps its errors to those of the store
 * interface.
 */
export class Environment {
  /** For use inside `write` only; reads use `fresh`. */
  readonly rows: Rows;
  #isClosed = false;
  #lastTurn: Promise<void> = Promise.resolve();

  /** @throws StartupError if the folder is unusable */
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
        // A write resolves only after it is flushed.
        overlappingSync: false,
        // Otherwise a full disk causes unhandled rejections in addition to the rejected write.
        eventTurnBatching: false,
      });
    } catch (error) {
      throw new StartupError(`The embedded store in ${folder} cannot be opened (${reasonOf(error)}).`, {
        cause: error,
      });
    }
  }

  /**
   * Returns a view of the latest commit of any process; otherwise lmdb keeps one read transaction
   * for a turn of the event loop.
   */
  fresh(): Rows {
    this.#refuseAfterClose();
    this.rows.resetReadTxn();
    return this.rows;
  }

  /**
   * Runs `act` in a write transaction and resolves when it is durable. `act` is synchronous and
   * makes its own checks, because no process writes meanwhile.
   * `admit` runs first, in the same transaction. A child transaction, because a plain one keeps the
   * puts before a throw.
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
   * Resolves in a turn of the event loop that no other caller shares. Each long synchronous read
   * waits for such a turn, so that concurrent walks cannot block requests for the sum of their
   * pages.
   */
  ownTurn(): Promise<void> {
    this.#lastTurn = this.#lastTurn.then(() => nextTurn());
    return this.#lastTurn;
  }

  /** Maps `error` to the error of the store interface. */
  fault(error: unknown): Promise<unknown> {
    return storeFault(error, this.folder);
  }

  /**
   * Copies within one read transaction, so the copy is consistent however long it takes. A file
   * copied by hand during writes is not.
   */
  async copyTo(folder: string): Promise<void> {
    this.#refuseAfterClose();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await this.rows.backup(folder, false);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await withDeadline(this.rows.close(), CLOSE_DEADLINE).catch(() => undefined);
  }

  /**
   * lmdb does not check this: reading a closed environment crashes the process with a segmentation
   * fault.
   */
  #refuseAfterClose(): void {
    if (this.#isClosed) throw new DomainError('store_unavailable', { detail: 'The store is closed.' });
  }
}
