import { Injectable } from '@nestjs/common';
import { OwnerNames } from '../../keys/user-keys/wrap-store';
import { keyNameOf } from '../../service-accounts';
import { Store } from '../../store';
import { serviceAccountsCollection, subjectsCollection, usersCollection } from '../../users';

/**
 * Keys of accounts lie in Vault under their user names, those of service accounts and subjects
 * under their ids: no user name begins so.
 */
@Injectable()
export class AccountNames extends OwnerNames {
  constructor(private readonly store: Store) {
    super();
  }

  async nameOf(ownerId: string): Promise<string | undefined> {
    const user = await this.store.collection(usersCollection).find('_id', ownerId);
    if (user !== undefined) return user.username;
    const isBackend =
      (await this.store.collection(subjectsCollection).find('_id', ownerId)) ??
      (await this.store.collection(serviceAccountsCollection).find('_id', ownerId));
    return isBackend && keyNameOf(ownerId);
  }
}
