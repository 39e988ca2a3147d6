/**
 * Node's exit waits for its pool threads, and lmdb's writer waits in one of them for JavaScript
 * that no longer runs.
 * A process that exits with pending writes (`process.exit`, an uncaught exception) would hang for
 * ever, and no supervisor would restart it. It therefore kills itself with SIGKILL. No acknowledged
 * write is lost; for LMDB this is like a power failure.
 */
let underWay = 0;
let isWatching = false;

/** Registers `write` as a pending write that must not block the exit of the process. */
export function watchWrite(write: Promise<unknown>): void {
  if (!isWatching) watchExit();
  underWay += 1;
  const settled = (): void => {
    underWay -= 1;
  };
  write.then(settled, settled);
}

function watchExit(): void {
  isWatching = true;
  // Node prints an uncaught exception only after the exit handlers, which is too late here.
  process.on('uncaughtExceptionMonitor', (error) => {
    if (underWay > 0) process.stderr.write(`${error.stack ?? String(error)}\n`);
  });
  process.on('exit', () => {
    if (underWay > 0) process.kill(process.pid, 'SIGKILL');
  });
}
