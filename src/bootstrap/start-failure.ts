import { StartupError } from '../kernel';

/**
 * What stops a start, as one line for the operator. A fault that nobody foresaw keeps its kind,
 * never its text.
 */
export function refusalLine(error: unknown): string {
  if (error instanceof StartupError) return error.message.replaceAll(/\s*\n\s*/g, ' ');
  const listening = listenFault(error);
  if (listening !== undefined) return listening;
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return `The start failed (${String(name)}${typeof code === 'string' ? ` ${code}` : ''}).`;
}

/**
 * Whether the line says it all: what remains is a fault of ours, whose stack belongs into the log.
 */
export const isForeseen = (error: unknown): boolean =>
  error instanceof StartupError || listenFault(error) !== undefined;

function listenFault(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return undefined;
  if (code === 'EADDRINUSE') return 'PORT is in use by another process.';
  if (code === 'EACCES') return 'PORT may not be opened by this user.';
  return code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'HOST is not an address of this machine.' : undefined;
}
