import { DomainError, ErrorCode } from '../../kernel';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The `code` of a system call's error, as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function codeOf(errno: string | undefined): ErrorCode {
  if (errno === 'ENOENT') return 'not_found';
  return errno !== undefined && FULL.has(errno) ? 'storage_full' : 'store_unavailable';
}

/** Runs file system calls: their errors come out as the port's codes, the system's text stays in `cause`. */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new DomainError(codeOf(errnoOf(error)), { cause: error });
  }
}
