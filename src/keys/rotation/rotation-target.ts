import { Logger } from '@nestjs/common';
import type { AssertLease } from '../../installation';
import { isDomainError } from '../../kernel';
import type { MasterKeyRow, RoutedMasterKey } from '../master-key';

/**
 * How a rotation gets its new version: in the present backend, or in another one. Every step may be
 * repeated after a crash.
 */
export abstract class RotationTarget {
  readonly #logger = new Logger('RotationTarget');

  constructor(
    protected readonly masterKey: RoutedMasterKey,
    protected readonly row: MasterKeyRow,
  ) {}

  /**
   * The number that the new version must be greater than.
   * @throws DomainError `kms_unavailable`.
   */
  abstract follows(): Promise<number>;
  /**
   * Makes the version, or finds the one that a dead process made.
   * @throws DomainError `kms_unavailable`.
   */
  abstract make(from: number): Promise<number>;
  /** Makes the master key row name `target`: from then on everything new is wrapped with it. */
  abstract advance(target: number, held: AssertLease): Promise<void>;
  /** Called once every key is rewrapped. */
  abstract settle(held: AssertLease): Promise<void>;

  /**
   * Ends retired versions again where a late write has re-enabled them, except where a row still
   * needs one. `lowest` is the lowest version that any row needs. An outage leaves it to the next
   * rotation.
   */
  async assertFloors(lowest: number): Promise<void> {
    const floor = Math.max(0, ...((await this.row.read()).homes ?? []).map((range) => range.floor ?? 0));
    try {
      if (lowest >= floor) await this.masterKey.assertFloors();
    } catch (error) {
      if (!isDomainError(error, 'kms_unavailable')) throw error;
      this.#logger.warn(`${error.message} The policy or an outage is in the way.`);
    }
  }
}

/** A new version in the backend that holds the current one. */
export class InPlaceRotation extends RotationTarget {
  async follows(): Promise<number> {
    return (await this.row.read()).current;
  }

  make(from: number): Promise<number> {
    return this.masterKey.rotate(from);
  }

  /** A retire in between changes the epoch alone, and the compare-and-set is tried again. */
  async advance(target: number, held: AssertLease): Promise<void> {
    for (let seen = await this.row.read(); seen.current < target; seen = await this.row.read()) {
      await held();
      await this.row.advance(seen, target);
    }
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }
}
