import { statfs } from 'node:fs/promises';
import { DomainError, StartupError } from '../../kernel';
import { withDeadline } from '../deadline';

const FULL_DISK = ['ENOSPC', 'EDQUOT', 'No space left', 'Disk quota', 'MDB_MAP_FULL'];
/** What LMDB makes of a write of which only a part found space; a disk that is broken says the same. */
const SHORT_WRITE = 'Input/output error';
/** Bytes. A commit writes at least a few pages at once. */
const HARDLY_ANY = 1 << 20;
/** Milliseconds. The cause follows the rejection at once, or never. */
const CAUSE_DEADLINE = 200;

interface CommitFailure {
  readonly commitError?: Promise<unknown>;
}

/** lmdb rejects `commitError` as well, which nobody awaits when the deadline came first: an unhandled rejection ends the process. */
export function silenceCommitError(error: unknown): void {
  (error as CommitFailure).commitError?.catch(() => undefined);
}

/** The port's error for one of LMDB's in `folder`; programmers' mistakes and our own errors pass. */
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
