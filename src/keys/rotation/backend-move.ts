import { Injectable } from '@nestjs/common';
import {
  type AssertLease,
  beginRelocation,
  endRelocation,
  fenceInstallation,
  installed,
  MASTER_KEY,
} from '../../installation';
import { type Job, JobBusy, JobRunner } from '../../jobs';
import { DomainError, failpoint } from '../../kernel';
import { retryOnConflict, Store } from '../../store';
import { type BackendName, MasterKeyRow, movedTo, newestBackend, onlyBackend, RoutedMasterKey } from '../master-key';
import { type Rotation, ROTATION_JOB, rotationData, rotationOf } from './rotation';
import { InPlaceRotation, RotationTarget } from './rotation-target';

/**
 * A new version in another backend. The former backend keeps the older versions, and the row says
 * from which version on the new one holds them.
 */
export class BackendMove extends RotationTarget {
  constructor(
    private readonly to: BackendName,
    masterKey: RoutedMasterKey,
    row: MasterKeyRow,
    private readonly store: Store,
  ) {
    super(masterKey, row);
  }

  /**
   * Beyond every version of either backend, used or not: a number belongs to one backend for ever.
   */
  async follows(): Promise<number> {
    const { current } = await this.row.read();
    const [source, target] = [await this.masterKey.state(), await (await this.#backend()).state()];
    return Math.max(current, source.current, target.current);
  }

  async make(from: number): Promise<number> {
    return (await this.#backend()).rotate(from);
  }

  async advance(target: number, held: AssertLease): Promise<void> {
    await this.#announce(held);
    for (let seen = await this.row.read(); seen.current < target; seen = await this.row.read()) {
      await held();
      await this.row.advance(seen, target, movedTo(seen.homes ?? onlyBackend(this.masterKey.home), this.to, target));
    }
  }

  /** From now on a start has to name the new backend. */
  async settle(held: AssertLease): Promise<void> {
    await endRelocation(this.store, MASTER_KEY, this.to, held);
    failpoint('migration.settled');
  }

  /**
   * A start may name either backend before the new one wraps anything, and then reads from the row
   * which backend holds what. So the row has to name the former backend first.
   */
  async #announce(held: AssertLease): Promise<void> {
    await retryOnConflict(async () => {
      const seen = await this.row.read();
      await held();
      return seen.homes === undefined ? this.row.advance(seen, seen.current, onlyBackend(this.masterKey.home)) : seen;
    });
    failpoint('migration.home-named');
    await beginRelocation(this.store, MASTER_KEY, this.to, held);
    failpoint('migration.home-admitted');
  }

  #backend(): ReturnType<RoutedMasterKey['inHome']> {
    return this.masterKey.inHome(this.to);
  }
}

/** Chooses how a rotation gets its version: in place, or by a move to another backend. */
@Injectable()
export class RotationTargets {
  readonly #inPlace: RotationTarget;

  constructor(
    private readonly masterKey: RoutedMasterKey,
    private readonly row: MasterKeyRow,
    private readonly store: Store,
  ) {
    this.#inPlace = new InPlaceRotation(masterKey, row);
  }

  of(to: BackendName | undefined): RotationTarget {
    return to === undefined ? this.#inPlace : new BackendMove(to, this.masterKey, this.row, this.store);
  }

  /** Whether this process is configured for a rotation to `to`. */
  isReachable(to: BackendName | undefined): boolean {
    return to === undefined || this.masterKey.isConfigured(to);
  }
}

/** Begins moves of the master key from one backend to another while the service runs. */
@Injectable()
export class BackendMoves {
  constructor(
    private readonly jobs: JobRunner,
    private readonly masterKey: RoutedMasterKey,
    private readonly row: MasterKeyRow,
    private readonly store: Store,
  ) {}

  /**
   * Begins a move, or finds the one to the same backend that is running; undefined where the key is
   * there already. A failed move is begun anew with a further version. Nothing is begun that this
   * process could not do.
   * @throws StartupError naming what is not configured; DomainError `kms_unavailable`,
   * `rotation_running` where another rotation is running.
   */
  async begin(to: BackendName, requestedBy: string): Promise<Rotation | undefined> {
    const active = await this.jobs.active(ROTATION_JOB);
    if (active !== undefined && !(await this.#isCancelled(active, to))) return this.#sameMove(active, to);
    // A move that has ended may have left a process that sleeps before its write.
    await fenceInstallation(this.store);
    if (await this.#isSettled(to)) return undefined;
    await this.masterKey.prepareMove(to);
    try {
      return rotationOf(await this.jobs.start(ROTATION_JOB, { requested_by: requestedBy, to }));
    } catch (error) {
      if (error instanceof JobBusy) return this.#sameMove(error.job, to);
      throw error;
    }
  }

  /**
   * A move back to the present backend cancels one that is not in effect: its target may be lost,
   * and the job would block every rotation. Where it just took effect, the new move follows it.
   */
  async #isCancelled(active: Job, to: BackendName): Promise<boolean> {
    const { to: target } = rotationOf(active);
    if (target === undefined || target === to) return false;
    const { homes } = await this.row.read();
    if ((homes === undefined ? this.masterKey.home : newestBackend(homes)) !== to) return false;
    return this.jobs.fail(active.id, 'kms_unavailable', (data) => !rotationData(data).advanced);
  }

  async #sameMove(active: Job, to: BackendName): Promise<Rotation> {
    const rotation = rotationOf(active);
    if (rotation.to !== to) {
      throw new DomainError('rotation_running', {
        detail: `The master key is being ${rotation.to === undefined ? 'rotated' : `moved to ${rotation.to}`} already (rotation ${rotation.id}).`,
        extensions: { rotation_id: rotation.id },
      });
    }
    await this.masterKey.prepareMove(to);
    return rotation;
  }

  async #isSettled(to: BackendName): Promise<boolean> {
    const admitted = MASTER_KEY.admitted(await installed(this.store));
    const { homes } = await this.row.read();
    return admitted.length === 1 && admitted[0] === to && (homes === undefined || newestBackend(homes) === to);
  }
}
