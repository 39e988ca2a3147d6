import { Injectable, Logger } from '@nestjs/common';
import { failpoint, isDomainError } from '../../kernel';
import { admitMasterKey, settleMasterKey, Store, retryOnConflict } from '../../store';
import { type BackendName, RoutedMasterKey, MasterKeyRow, movedTo, onlyBackend } from '../master-key';

/**
 * The version that a rotation leads to. A move to another home is a rotation whose version is made there: the former home stays where older
 * versions are, and the row says from which version on the new one holds them. Each step may be repeated.
 */
@Injectable()
export class RotationTarget {
  readonly #logger = new Logger('RotationTarget');

  constructor(
    private readonly homes: RoutedMasterKey,
    private readonly row: MasterKeyRow,
    private readonly store: Store,
  ) {}

  /** Whether this process can take part in a rotation to `home`. */
  isReachable(home: BackendName | undefined): boolean {
    return home === undefined || this.homes.isConfigured(home);
  }

  /**
   * The version that the new one has to be beyond. For a move beyond all that either home has, used or not: a number that both know could
   * not say whose it is. @throws DomainError `kms_unavailable`.
   */
  async follows(home: BackendName | undefined): Promise<number> {
    const { current } = await this.row.read();
    if (home === undefined) return current;
    const [source, target] = [await this.homes.state(), await (await this.homes.inHome(home)).state()];
    return Math.max(current, source.current, target.current);
  }

  /** Makes the version, or finds the one that a dead process made. @throws DomainError `kms_unavailable`. */
  async make(from: number, home: BackendName | undefined): Promise<number> {
    return home === undefined ? this.homes.rotate(from) : (await this.homes.inHome(home)).rotate(from);
  }

  /** From here on everything new is wrapped with the target. A retire in between moves the epoch alone and is no obstacle. */
  async advance(target: number, home: BackendName | undefined, hold: () => Promise<void>): Promise<void> {
    if (home !== undefined) await this.#announce(home, hold);
    for (let seen = await this.row.read(); seen.current < target; seen = await this.row.read()) {
      await hold();
      const spans = home === undefined ? seen.homes : movedTo(seen.homes ?? onlyBackend(this.homes.home), home, target);
      await this.row.advance(seen, target, spans);
    }
  }

  /** The end of a move: from now on a start has to name the new home. */
  async settle(home: BackendName | undefined, hold: () => Promise<void>): Promise<void> {
    if (home === undefined) return;
    await settleMasterKey(this.store, home, hold);
    failpoint('migration.settled');
  }

  /**
   * Ends again what was retired, where a process that slept has set that back. Not below a version that a row needs: an operator may have brought
   * a retired version back by hand for it. `lowest`: of all rows. Where the key home does not do it the next rotation tries again.
   */
  async assertFloors(lowest: number): Promise<void> {
    const floor = Math.max(0, ...((await this.row.read()).homes ?? []).map((span) => span.floor ?? 0));
    try {
      if (lowest >= floor) await this.homes.assertFloors();
    } catch (error) {
      if (!isDomainError(error, 'kms_unavailable')) throw error;
      this.#logger.warn(`${error.message} The policy or an outage is in the way.`);
    }
  }

  /**
   * Before the first wrap of the new home a start may name either, and whoever does reads from the row which home holds what: so the row
   * names the former home first.
   */
  async #announce(home: BackendName, hold: () => Promise<void>): Promise<void> {
    await retryOnConflict(async () => {
      const seen = await this.row.read();
      await hold();
      return seen.homes === undefined ? this.row.advance(seen, seen.current, onlyBackend(this.homes.home)) : seen;
    });
    failpoint('migration.home-named');
    await admitMasterKey(this.store, home, hold);
    failpoint('migration.home-admitted');
  }
}
