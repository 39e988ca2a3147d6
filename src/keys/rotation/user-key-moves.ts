import { Injectable } from '@nestjs/common';
import { type Job, JobBusy, JobRunner } from '../../jobs';
import { fenceInstallation, readWrapPlacement, Store, type WrapLocation } from '../../store';
import { RoutedWrapStore } from '../user-keys/wrap-stores';
import { USER_KEY_MOVE_JOB, userKeyMoveData } from './user-key-move';

/** Moves wrapped user keys between their rows and Vault while everybody serves. */
@Injectable()
export class UserKeyMoves {
  constructor(
    private readonly jobs: JobRunner,
    private readonly homes: RoutedWrapStore,
    private readonly store: Store,
  ) {}

  /**
   * Begins a move, or finds the one to the same place that is under way; undefined where the keys are there already. A move the other way is
   * turned round: what it has moved comes back. Nothing is begun that this process could not do.
   * @throws StartupError naming what is not configured; DomainError `kms_unavailable`.
   */
  async begin(to: WrapLocation, requestedBy: string): Promise<Job | undefined> {
    const active = await this.jobs.active(USER_KEY_MOVE_JOB);
    if (active === undefined) {
      // A move that has ended may have left a process that sleeps before its write.
      await fenceInstallation(this.store);
      if (await this.#isSettled(to)) return undefined;
    }
    await this.homes.prepareMove();
    if (active !== undefined && userKeyMoveData(active.data).to === to) return active;
    if (active !== undefined) await this.jobs.fail(active.id, 'conflict', () => true);
    try {
      return await this.jobs.start(USER_KEY_MOVE_JOB, { requested_by: requestedBy, to });
    } catch (error) {
      if (error instanceof JobBusy) return this.begin(to, requestedBy);
      throw error;
    }
  }

  async #isSettled(to: WrapLocation): Promise<boolean> {
    const pins = await readWrapPlacement(this.store);
    if (pins.home !== to || pins.to !== undefined) return false;
    // Rows that a move which was turned round and died has left half-way; without Vault there is no way to move them.
    if (!this.homes.reachesVault) return true;
    for await (const _ of this.homes.due(to, () => undefined)) return false;
    return true;
  }
}
