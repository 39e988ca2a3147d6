import { Injectable } from '@nestjs/common';
import { audited, AuditSink, Clock, HOUR } from '../../kernel';
import { type IsUsed, OLDEST, UserKeyService } from '../../keys/user-keys';
import { INSTALLATION, installationCollection } from '../../installation';
import { Store } from '../../store';
import { UserDoc, Users } from '../../users';

/** Until then the owner may finish the registration by sending it again. */
const ABANDONED_AFTER = HOUR;

/**
 * Accounts that stayed pending: their registration was refused or its process died, and nobody came back. Each holds a user name. To be run now
 * and then by one replica.
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
   * How many were ended. The account goes first, by its revision: a registration that slept finds no account to activate, and a key that it
   * makes afterwards is ended as one without an account (`OrphanedKeys`). Who holds the claim of the first administrator stays, or nobody would
   * ever be one; so does an account that data is sealed for, which somebody set back to an older row. A claim that comes between the look
   * and the removal is given back by the activation that made it (`AccountCreation`).
   */
  async sweep(isUsed: IsUsed): Promise<number> {
    let ended = 0;
    for await (const user of this.users.pending()) {
      const age = this.clock.now() - user.created_at;
      if (
        age < ABANDONED_AFTER ||
        age > OLDEST ||
        (await isUsed(user._id)) ||
        // Read right before the removal: a registration may resume during the sweep and claim.
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
