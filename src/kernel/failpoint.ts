let armedName: string | undefined;
let passesLeft = 0;
let signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL';

/**
 * Arms one crash point, as `sealer.pending-stored` or `rotation.batch-written:3` (at the third
 * passing). With `:stop` behind it the process does not die there: it sleeps until somebody sends
 * it SIGCONT. Called once by main, with COFFER_FAILPOINT of a test; config refuses that variable in
 * production. The names stand in docs/reliability.md.
 */
export function armFailpoint(spec: string | undefined): void {
  const [name, ...options] = spec?.split(':') ?? [];
  armedName = name;
  signal = options.at(-1) === 'stop' ? 'SIGSTOP' : 'SIGKILL';
  const [passes] = options.filter((option) => option !== 'stop');
  passesLeft = passes === undefined ? 1 : Number(passes);
}

/**
 * Dies here by SIGKILL if this point is armed: no handler, no flush, exactly what a power cut
 * leaves. Else costs one comparison.
 */
export function failpoint(name: string): void {
  if (armedName !== name) return;
  passesLeft -= 1;
  if (passesLeft > 0) return;
  armedName = undefined;
  process.kill(process.pid, signal);
}
