/**
 * Node waits at its exit for the threads of its pool, and lmdb's writer waits in one of them for JavaScript that will not run any more: a
 * process that ends with writes under way (`process.exit`, an exception that nobody caught) would hang for ever, and no supervisor would
 * start it again. So it ends itself by SIGKILL then. Nothing is lost that was acknowledged; LMDB takes that like a power cut.
 */
let underWay = 0;
let isWatching = false;

/** Counts `write` among those that must not hold up the end of the process. */
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
  // Node prints an uncaught exception only after the exit handlers, too late here.
  process.on('uncaughtExceptionMonitor', (error) => {
    if (underWay > 0) process.stderr.write(`${error.stack ?? String(error)}\n`);
  });
  process.on('exit', () => {
    if (underWay > 0) process.kill(process.pid, 'SIGKILL');
  });
}
