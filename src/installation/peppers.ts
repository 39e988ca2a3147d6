import { StartupError } from '../kernel';
import { type Store, update } from '../store';
import { INSTALLATION, installationCollection, type InstallationDoc } from './installation.collection';

/** Check values of the peppers of a process (crypto, pepperCheck). */
export interface PepperChecks {
  readonly current: string;
  /** Check value of PEPPER_PREVIOUS. */
  readonly previous: string | undefined;
}

/**
 * The peppers that are admitted after a start with these: the current one first, then the previous
 * one while it is accepted.
 * Undefined if the start has neither the current pepper nor, as its own, the previous one.
 */
export function admittedPeppers(
  recorded: readonly string[] | undefined,
  { current, previous }: PepperChecks,
): readonly string[] | undefined {
  const both = previous === undefined || previous === current ? [current] : [current, previous];
  // An installation older than the check accepts the peppers of its first start with this release.
  if (recorded === undefined) return both;
  const [present] = recorded;
  // A start without PEPPER_PREVIOUS ends the change of the pepper.
  if (current === present) return previous === undefined ? [current] : recorded;
  if (previous !== undefined && previous === present) return both;
  // A replica that does not have the new pepper yet.
  return recorded.includes(current) ? recorded : undefined;
}

/**
 * Checks the peppers of this start against the installation's and records a change. `store` is the
 * authenticated one.
 * @throws StartupError
 */
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

/** Replaces the recorded peppers with those of this process. */
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
