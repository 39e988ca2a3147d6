let armedName: string | undefined;
let passesLeft = 0;

/**
 * Arms one crash point, as `sealer.pending-stored` or `rotation.batch-written:3` (die at the third passing). Called once by main, with
 * COFFER_FAILPOINT of a test; config refuses that variable in production. The names stand in docs/reliability.md.
 */
export function armFailpoint(spec: string | undefined): void {
  const [name, passes] = spec?.split(':') ?? [];
  armedName = name;
  passesLeft = passes === undefined ? 1 : Number(passes);
}

/** Dies here by SIGKILL if this point is armed: no handler, no flush, exactly what a power cut leaves. Else costs one comparison. */
export function failpoint(name: string): void {
  if (armedName !== name) return;
  passesLeft -= 1;
  if (passesLeft <= 0) process.kill(process.pid, 'SIGKILL');
}
