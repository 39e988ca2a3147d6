import { statfs } from 'node:fs/promises';
import { DomainError, StartupError } from '../../kernel';
import { withDeadline } from '../deadline';

const FULL_DISK = ['ENOSPC', 'EDQUOT', 'No space left', 'Disk quota', 'MDB_MAP_FULL'];
/** LMDB's error for a partial write on a full disk; a broken disk gives the same error. */
const SHORT_WRITE = 'Input/output error';
/** Bytes. A commit writes at least a few pages at once. */
const HARDLY_ANY = 1 << 20;
/** Milliseconds. The cause follows the rejection at once, or never. */
const CAUSE_DEADLINE = 200;

interface CommitFailure {
  readonly commitError?: Promise<unknown>;
}

/**
 * lmdb also rejects `commitError`, which nobody awaits after the deadline: an unhandled rejection
 * would end the process.
 */
export function silenceCommitError(error: unknown): void {
  (error as CommitFailure).commitError?.catch(() => undefined);
}

/**
 * Maps an error of LMDB in `folder` to the store interface; programming errors and Coffer's own
 * errors pass.
 */
export async function storeFault(error: unknown, folder: string): Promise<unknown> {
  if (error instanceof DomainError || error instanceof StartupError || error instanceof TypeError) return error;
  const cause = (await rootCause(error)) ?? error;
  const code = (await isFullDisk(reasonOf(cause), folder)) ? 'storage_full' : 'store_unavailable';
  return new DomainError(code, { detail: 'The store failed.', cause });
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${code}: ${error.message}`;
}

async function rootCause(error: unknown): Promise<unknown> {
  const { commitError } = error as CommitFailure;
  if (commitError === undefined) return undefined;
  return withDeadline(commitError, CAUSE_DEADLINE).catch((cause: unknown) => cause);
}

async function isFullDisk(reason: string, folder: string): Promise<boolean> {
  if (FULL_DISK.some((sign) => reason.includes(sign))) return true;
  if (!reason.includes(SHORT_WRITE)) return false;
  const space = await statfs(folder).catch(() => undefined);
  return space !== undefined && space.bavail * space.bsize < HARDLY_ANY;
}
