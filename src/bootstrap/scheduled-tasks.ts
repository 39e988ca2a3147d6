import { Injectable, OnModuleInit } from '@nestjs/common';
import { AbandonedAccounts } from '../auth';
import { Scheduler } from '../jobs';
import { HOUR, MINUTE, isDomainError } from '../kernel';
import { UserDataHandlers } from '../keys/rotation';
import { OrphanedKeys, UserKeyRotator, UserKeySweeper } from '../keys/user-keys';
import { Store } from '../store';

/** Removes what unfinished registrations left, so that their user names are free again. */
@Injectable()
export class RegistrationSweep implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly accounts: AbandonedAccounts,
    private readonly keys: OrphanedKeys,
    private readonly rotator: UserKeyRotator,
    private readonly handlers: UserDataHandlers,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('registrations.sweep', 10 * MINUTE, () => this.sweep());
  }

  /**
   * Accounts first: where the end of one stops half-way its key has no account, and goes in the
   * same turn.
   */
  async sweep(): Promise<void> {
    await this.accounts.sweep((owner) => this.#isUsed(owner));
    await this.keys.sweep((owner) => this.#isUsed(owner));
  }

  async #isUsed(owner: string): Promise<boolean> {
    const versions = await this.#versionsOf(owner);
    for (const handler of this.handlers.all)
      if ((await handler.countByKeyVersion(owner, versions)).some((count) => count > 0)) return true;
    return false;
  }

  /**
   * Nothing is sealed under a key that is not active; to look for its first version costs nothing.
   */
  async #versionsOf(owner: string): Promise<readonly number[]> {
    try {
      return (await this.rotator.state(owner)).versions.map(({ version }) => version);
    } catch (error) {
      if (isDomainError(error, 'not_found')) return [1];
      throw error;
    }
  }
}

/** What no module schedules for itself. */
@Injectable()
export class InstallationTasks implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly store: Store,
    private readonly userKeys: UserKeySweeper,
  ) {}

  onModuleInit(): void {
    // Only former releases use these indexes: they go once no process of one may serve.
    this.scheduler.every('store.former-indexes', HOUR, async () => {
      await this.store.dropFormerIndexes();
    });
    this.scheduler.every('user-keys.sweep', HOUR, async () => {
      await this.userKeys.sweep();
    });
  }
}
