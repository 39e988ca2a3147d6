import { Injectable } from '@nestjs/common';
import { audited, AuditSink, Clock, HOUR } from '../../kernel';
import { type IsUsed, OLDEST, UserKeyService } from '../../keys/user-keys';
import { INSTALLATION, installationCollection } from '../../installation';
import { Store } from '../../store';
import { UserDoc, Users } from '../../users';

/** Until then, the owner may complete the registration by sending it again. */
const ABANDONED_AFTER = HOUR;

/**
 * Removes accounts that stayed pending, because their registration failed or its process died. Each
 * of them blocks a user name. One replica runs it periodically.
 */
@Injectable()
export class AbandonedAccounts {
  constructor(
    private readonly users: Users,
    private readonly userKeys: UserKeyService,
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly audit: AuditSink,
  ) {}

  /**
   * Returns the number of removed accounts. The account is removed first, by its revision: a
   * registration that slept finds no account to activate, and `OrphanedKeys` removes a key created
   * afterwards.
   * The holder of the first administrator's claim is kept, because otherwise nobody could ever
   * claim it. An account with encrypted data, whose row was reset to an older one, is kept too. A
   * claim made between the check and the removal is released by the activation that made it
   * (`AccountCreation`).
   */
  async sweep(isUsed: IsUsed): Promise<number> {
    let ended = 0;
    for await (const user of this.users.pending()) {
      const age = this.clock.now() - user.created_at;
      if (
        age < ABANDONED_AFTER ||
        age > OLDEST ||
        (await isUsed(user._id)) ||
        // Read directly before the removal, because a registration may resume and claim during the
        // sweep.
        (await this.#firstAdministrator()) === user._id
      )
        continue;
      if (await this.#end(user)) ended += 1;
    }
    return ended;
  }

  async #firstAdministrator(): Promise<string | undefined> {
    const installation = await this.store.collection(installationCollection).find('_id', INSTALLATION);
    return installation?.first_administrator;
  }

  #end(user: UserDoc): Promise<boolean> {
    const intent = { action: 'account.abandoned', actor: 'system:registration', resource: `user/${user._id}` } as const;
    return audited(this.audit, intent, async () => {
      if (!(await this.users.remove(user))) return false;
      await this.userKeys.destroy(user._id);
      return true;
    });
  }
}
