import { Injectable } from '@nestjs/common';
import { OwnerNames } from '../../keys/user-keys/wrap-store';
import { Store } from '../../store';
import { usersCollection } from '../../users';

/** Keys of accounts lie in Vault under their user names. */
@Injectable()
export class AccountNames extends OwnerNames {
  constructor(private readonly store: Store) {
    super();
  }

  async nameOf(ownerId: string): Promise<string | undefined> {
    return (await this.store.collection(usersCollection).find('_id', ownerId))?.username;
  }
}
