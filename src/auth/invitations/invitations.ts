import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { Collection, ListOptions, Page, Store } from '../../store';
import { EmailAddress } from '../../users';
import { InvitationDoc, invitationsCollection } from './invitation.collection';
import { isInvitationSecret, presentedInvitation } from './invitation-code';

/** Storage of open invitations. */
@Injectable()
export class Invitations {
  readonly #rows: Collection<InvitationDoc>;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(invitationsCollection);
  }

  insert(invitation: Omit<InvitationDoc, 'rev'>): Promise<InvitationDoc> {
    return this.#rows.insert(invitation);
  }

  /** Lists valid invitations, newest first. */
  async list(options: Omit<ListOptions, 'reverse'>): Promise<Page<InvitationDoc>> {
    const page = await this.#rows.list('_id', [], { ...options, reverse: true });
    return { ...page, items: page.items.filter((row) => this.#holds(row)) };
  }

  /** Returns the invitation of this code, if it was mailed to this address and is still valid. */
  async of(code: string, email: EmailAddress): Promise<InvitationDoc | undefined> {
    const presented = presentedInvitation(code);
    const row = presented && (await this.#rows.find('_id', presented.id));
    if (presented === undefined || row === undefined || !isInvitationSecret(presented.secret, row.secret_hash)) {
      return undefined;
    }
    return this.#holds(row) && row.address === email.folded ? row : undefined;
  }

  /** True if the invitation was not revoked meanwhile. */
  async isOpen({ _id }: InvitationDoc): Promise<boolean> {
    const row = await this.#rows.find('_id', _id);
    return row !== undefined && this.#holds(row);
  }

  /** Returns false if there is no valid invitation. */
  async remove(id: string): Promise<boolean> {
    const row = await this.#rows.find('_id', id);
    return (await this.#rows.remove(id)) && row !== undefined && this.#holds(row);
  }

  #holds({ expires_at }: InvitationDoc): boolean {
    return expires_at > this.clock.now();
  }
}
