import { StartupError } from '../kernel';
import { type Store, update } from '../store';
import { INSTALLATION, installationCollection, type InstallationDoc } from './installation.collection';

/** Check values of the peppers that a process was given (crypto, pepperCheck). */
export interface PepperChecks {
  readonly current: string;
  /** Of PEPPER_PREVIOUS. */
  readonly previous: string | undefined;
}

/**
 * The peppers that a start may have once one with these has been let in: the present one first, then the former one while it is
 * accepted. Undefined where neither pepper of the start is the present one, nor its own the former one.
 */
export function admittedPeppers(
  recorded: readonly string[] | undefined,
  { current, previous }: PepperChecks,
): readonly string[] | undefined {
  const both = previous === undefined || previous === current ? [current] : [current, previous];
  // An installation from before there was a check: whatever its first start of this release has.
  if (recorded === undefined) return both;
  const [present] = recorded;
  // Without PEPPER_PREVIOUS the change of the pepper is over.
  if (current === present) return previous === undefined ? [current] : recorded;
  if (previous !== undefined && previous === present) return both;
  // A replica that has not been given the new pepper yet.
  return recorded.includes(current) ? recorded : undefined;
}

/** Checks the peppers of this start against the installation's, and records a change. `store` is the sealed one. @throws StartupError */
export async function admitPeppers(store: Store, checks: PepperChecks): Promise<void> {
  await record(store, (recorded) => {
    const admitted = admittedPeppers(recorded, checks);
    if (admitted !== undefined) return admitted;
    throw new StartupError(
      'PEPPER is not the one of this installation, so no password would be right: set the one that passwords were hashed with. To change it, ' +
        'set the former one as PEPPER_PREVIOUS; where that is lost, run `npm run admin -- replace-pepper` (docs/operations.md, "Accounts").',
    );
  });
}

/** Takes the peppers of this process for the installation's, whatever was recorded. */
export async function replacePeppers(store: Store, checks: PepperChecks): Promise<void> {
  await record(store, () => admittedPeppers(undefined, checks) ?? []);
}

async function record(
  store: Store,
  next: (recorded: readonly string[] | undefined) => readonly string[],
): Promise<void> {
  await update(store.collection(installationCollection), INSTALLATION, (doc: InstallationDoc) => {
    const pepper_checks = next(doc.pepper_checks);
    return pepper_checks.join() === doc.pepper_checks?.join() ? undefined : { ...doc, pepper_checks };
  });
}
