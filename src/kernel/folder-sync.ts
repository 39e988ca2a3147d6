/** Systems and file systems that have no fsync of folders keep names in another way, or not; no caller can do anything about it. */
const UNKNOWN = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);
/** Windows refuses to open a folder as a file, or to flush it. Elsewhere the same codes are faults. */
const UNKNOWN_ON_WINDOWS = new Set(['EISDIR', 'EPERM', 'EACCES']);

/** Whether a failed fsync of a folder says that there is no such thing here, and not that it failed. */
export function lacksFolderSync(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (typeof code !== 'string') return false;
  return UNKNOWN.has(code) || (platform === 'win32' && UNKNOWN_ON_WINDOWS.has(code));
}
