import { mkdirSync } from 'node:fs';
import { open, RootDatabase } from 'lmdb';
import { DomainError, StartRefused } from '../../kernel';
import { CLOSE_DEADLINE, OPERATION_DEADLINE, withDeadline } from '../deadline';
import { checkDatabaseFile } from './database-file';

/** The one LMDB database: all collections lie in it under prefixes, so no `maxDbs` limits how many there are. */
export type Rows = RootDatabase<unknown, Buffer>;

const FULL_DISK = ['ENOSPC', 'EDQUOT', 'No space left', 'Disk quota', 'MDB_MAP_FULL'];

/** LMDB opened so that a resolved write is on disk, with its faults told in the terms of the store port. */
export class Environment {
  /** For use inside `write` only; reads go through `fresh`. */
  readonly rows: Rows;
  #isClosed = false;

  /** @throws StartRefused where the folder cannot be used. */
  constructor(folder: string) {
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
      throw new StartRefused(`The embedded store in ${folder} cannot be opened (${reason(error)}).`, { cause: error });
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
   * else writes meanwhile, in no process. A child transaction, because in a plain one a throw keeps the puts before it.
   */
  async write<T>(act: () => T, deadline = OPERATION_DEADLINE): Promise<T> {
    this.#refuseAfterClose();
    try {
      const committed = this.rows.childTransaction(act);
      committed.catch(silenceCommitError);
      return await withDeadline(committed, deadline);
    } catch (error) {
      throw await storeFault(error);
    }
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

interface CommitFailure {
  readonly commitError?: Promise<unknown>;
}

/** lmdb rejects `commitError` as well, which nobody awaits when the deadline came first: an unhandled rejection ends the process. */
function silenceCommitError(error: unknown): void {
  (error as CommitFailure).commitError?.catch(() => undefined);
}

/** The port's error for one of LMDB's; programmers' mistakes and our own errors pass. */
export async function storeFault(error: unknown): Promise<unknown> {
  if (error instanceof DomainError || error instanceof StartRefused || error instanceof TypeError) return error;
  const cause = (await rootCause(error)) ?? error;
  const text = reason(cause);
  const code = FULL_DISK.some((sign) => text.includes(sign)) ? 'storage_full' : 'store_unavailable';
  return new DomainError(code, { detail: 'The store could not do this.', cause });
}

async function rootCause(error: unknown): Promise<unknown> {
  const { commitError } = error as CommitFailure;
  if (commitError === undefined) return undefined;
  return withDeadline(commitError, OPERATION_DEADLINE).catch((cause: unknown) => cause);
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${code}: ${error.message}`;
}
