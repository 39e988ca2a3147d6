import { Injectable } from '@nestjs/common';
import { Clock, DomainError, DropBox, MINUTE, Principal, UploadTickets, newId } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { UserDoc, Users } from '../../users';
import { LinkDoc, LinkKind, linkCollection } from './link.collection';
import { newSecret, presentedSecret, secretMatches } from './link-secret';
import { TicketDoc, ticketCollection } from './ticket.collection';

export const TICKET_MS = 5 * MINUTE;

export interface NewTicket {
  readonly link: LinkDoc;
  readonly token: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

const PREFIX = { download: 'dt', upload: 'ut' } as const;

/** What is given for opening a link, and what stands behind it at each use: the ticket's row, the link's row and its owner, none of them cached. */
@Injectable()
export class Tickets extends UploadTickets {
  readonly #tickets: Collection<TicketDoc>;
  readonly #links: Collection<LinkDoc>;

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {
    super();
    this.#tickets = store.collection(ticketCollection);
    this.#links = store.collection(linkCollection);
  }

  async issue(link: LinkDoc): Promise<NewTicket> {
    const id = newId();
    const { token, secretHash } = newSecret(PREFIX[link.kind], id);
    const expiresAt = this.clock.now() + TICKET_MS;
    await this.#tickets.insert({
      _id: id,
      link_id: link._id,
      secret_hash: secretHash,
      expires_at: expiresAt,
      taken: false,
    });
    return { link, token, expiresAt };
  }

  /**
   * The link behind a ticket for downloads. A count that is used up does not matter: this use was counted when the ticket was given.
   * @throws DomainError `unauthenticated` (no ticket of ours), `token_expired`, `link_expired` (ended, past its time, or its owner disabled).
   */
  async download(token: string): Promise<LinkDoc> {
    return (await this.behind('download', token)).link;
  }

  override isTicket(token: string): boolean {
    return presentedSecret('ut', token) !== undefined;
  }

  /** @throws as `download` */
  override async uploader(token: string): Promise<Principal> {
    const { ticket, link, owner } = await this.behind('upload', token);
    const dropBox = { linkId: link._id, ticketId: ticket._id, largest: link.max_size };
    return { userId: owner._id, username: owner.username, role: 'user', sessionId: '', authTime: 0, dropBox };
  }

  override async requireLink({ linkId }: DropBox): Promise<void> {
    const link = await this.#links.find('_id', linkId);
    const owner = link && (await this.users.byId(link.owner_id));
    if (owner?.state !== 'active') throw ended();
  }

  /** One ticket is one file: of several uploads with it at the same time one goes on. @throws DomainError `conflict` */
  async take(ticketId: string): Promise<void> {
    const outcome = { taken: false };
    await update(this.#tickets, ticketId, (ticket) => {
      outcome.taken = !ticket.taken;
      return outcome.taken ? { ...ticket, taken: true } : undefined;
    });
    if (!outcome.taken)
      throw new DomainError('conflict', { detail: 'This ticket has been used: open the link again.' });
  }

  /** The upload came to nothing: the sender may try again for as long as the ticket lasts. */
  async giveBack(ticketId: string): Promise<void> {
    await update(this.#tickets, ticketId, (ticket) => ({ ...ticket, taken: false }));
  }

  private async behind(kind: LinkKind, token: string): Promise<{ ticket: TicketDoc; link: LinkDoc; owner: UserDoc }> {
    const presented = presentedSecret(PREFIX[kind], token);
    const ticket = presented && (await this.#tickets.find('_id', presented.id));
    if (presented === undefined || ticket === undefined || !secretMatches(presented.secret, ticket.secret_hash)) {
      throw new DomainError('unauthenticated', { detail: 'Open the link first: this is no ticket.' });
    }
    const now = this.clock.now();
    if (ticket.expires_at <= now) throw new DomainError('token_expired', { detail: 'Open the link again.' });
    const link = await this.#links.find('_id', ticket.link_id);
    if (link?.kind !== kind || (link.expires_at ?? Infinity) <= now) throw ended();
    const owner = await this.users.byId(link.owner_id);
    if (owner?.state !== 'active') throw ended();
    return { ticket, link, owner };
  }
}

const ended = (): DomainError => new DomainError('link_expired', { detail: 'The link has been ended.' });
