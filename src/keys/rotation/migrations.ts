import { Injectable } from '@nestjs/common';
import { Job, JobBusy, JobRunner } from '../../jobs';
import { DomainError } from '../../kernel';
import { fenceInstallation, installed, masterKeysOf, Store } from '../../store';
import { BackendName, RoutedMasterKey, MasterKeyRow, newestBackend } from '../master-key';
import { ROTATION_JOB, Rotation, rotationData, rotationOf } from './rotation';

/** Moves the master key from one home to another while everybody serves: a rotation whose version is made in the other home. */
@Injectable()
export class Migrations {
  constructor(
    private readonly jobs: JobRunner,
    private readonly homes: RoutedMasterKey,
    private readonly row: MasterKeyRow,
    private readonly store: Store,
  ) {}

  /**
   * Begins a move, or finds the one to the same home that is under way; undefined where the key is there already. A move that failed half-way
   * is begun anew, by a further version; one that has no effect yet is ended by a move to where the key is. Nothing is begun that this process could not do.
   * @throws StartupError naming what is not configured; DomainError `kms_unavailable`, `rotation_running` where something else is under way.
   */
  async begin(to: BackendName, requestedBy: string): Promise<Rotation | undefined> {
    const active = await this.jobs.active(ROTATION_JOB);
    if (active !== undefined && !(await this.#takenBack(active, to))) return this.#sameMove(active, to);
    // A move that has ended may have left a process that sleeps before its write.
    await fenceInstallation(this.store);
    if (await this.#isSettled(to)) return undefined;
    await this.homes.prepareMove(to);
    try {
      return rotationOf(await this.jobs.start(ROTATION_JOB, { requested_by: requestedBy, to }));
    } catch (error) {
      if (error instanceof JobBusy) return this.#sameMove(error.job, to);
      throw error;
    }
  }

  /**
   * A move back to where the key still is ends the one that has not come into effect: its target may be gone for good, and it would keep the
   * place of every rotation. Where it was about to come into effect, what follows moves the key back.
   */
  async #takenBack(active: Job, to: BackendName): Promise<boolean> {
    const { to: target } = rotationOf(active);
    if (target === undefined || target === to) return false;
    const { homes } = await this.row.read();
    if ((homes === undefined ? this.homes.home : newestBackend(homes)) !== to) return false;
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
    await this.homes.prepareMove(to);
    return rotation;
  }

  async #isSettled(to: BackendName): Promise<boolean> {
    const pinned = masterKeysOf(await installed(this.store));
    const { homes } = await this.row.read();
    return pinned.length === 1 && pinned[0] === to && (homes === undefined || newestBackend(homes) === to);
  }
}
