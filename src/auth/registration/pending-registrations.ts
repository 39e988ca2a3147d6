import { Injectable } from '@nestjs/common';
import { codeMatches, oneTimeCode } from '../../crypto';
import { Clock, MINUTE, SystemSecrets } from '../../kernel';
import { Collection, Store } from '../../store';
import { EmailAddress } from '../../users';
import { HashedPassword } from '../passwords';
import { PendingRegistrationDoc, pendingRegistrationsCollection } from './pending-registration.collection';

export const PENDING_MINUTES = 10;
const PENDING_MS = PENDING_MINUTES * MINUTE;
/** More than can be mailed to one address while they last. */
const MAX_PENDING = 20;

export interface NewRegistration extends HashedPassword {
  /** What the account's id will be. */
  readonly id: string;
  readonly username: string;
  readonly email: EmailAddress;
}

/** Registrations that wait for their code. Each has its own, derived from its id and never stored. */
@Injectable()
export class PendingRegistrations {
  readonly #rows: Collection<PendingRegistrationDoc>;

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(pendingRegistrationsCollection);
  }

  add({ id, username, email, hashed_password, salt }: NewRegistration): Promise<PendingRegistrationDoc> {
    return this.#rows.insert({
      _id: id,
      username,
      email: email.address,
      address: email.folded,
      hashed_password,
      salt,
      expires_at: this.clock.now() + PENDING_MS,
    });
  }

  async of(address: string): Promise<readonly PendingRegistrationDoc[]> {
    const { items } = await this.#rows.list('address', [address], { limit: MAX_PENDING });
    return items.filter(({ expires_at }) => {
      const left = expires_at - this.clock.now();
      return left > 0 && left <= PENDING_MS + MINUTE;
    });
  }

  code({ _id, address }: PendingRegistrationDoc): string {
    return oneTimeCode(this.secrets.oneTimeCodes, _id, 'registration', address);
  }

  /** The one that this code confirms. All are compared, so the time tells nothing; a code that fits two of them confirms none. */
  matching(open: readonly PendingRegistrationDoc[], code: string): PendingRegistrationDoc | undefined {
    const fitting = open.filter((row) => codeMatches(this.code(row), code));
    return fitting.length === 1 ? fitting[0] : undefined;
  }

  async remove(rows: readonly PendingRegistrationDoc[]): Promise<void> {
    for (const { _id } of rows) await this.#rows.remove(_id);
  }
}
