import { Injectable } from '@nestjs/common';
import { Clock, DomainError, HOUR, LinkHolder, MINUTE, SECOND, UploadTickets, newId } from '../kernel';
import { Collection, Doc, Store, defineCollection, update, digest, plain } from '../store';
import { Users } from '../users';
import { LinkDoc, LinkKind, linkCollection } from './link.collection';
import { newSecret, presentedSecret, secretMatches } from './links';

/**
 * The result of redeeming a link: valid for five minutes after its last use, and no longer than the
 * link.
 */
export interface TicketDoc extends Doc {
  readonly link_id: string;
  /** SHA-256 of its secret, lowercase hex. */
  readonly secret_hash: string;
  /** Absent on the rows of former releases, whose tickets were never extended. */
  readonly issued_at?: number;
  readonly expires_at: number;
  /** On an upload link's ticket: an upload holds it. One ticket is one file. */
  readonly taken: boolean;
}

export const ticketCollection = defineCollection<TicketDoc>({
  name: 'link_tickets',
  fields: {
    link_id: plain.string,
    secret_hash: digest.string,
    issued_at: plain.time,
    expires_at: plain.time,
    taken: plain.boolean,
  },
  indexes: { link: { fields: ['link_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});

/** How long a ticket is valid after its issue, and one for downloads after each use. */
export const TICKET_MS = 5 * MINUTE;
/** The longest that uses can extend it. */
export const LONGEST_TICKET_MS = HOUR;
/**
 * A use that would extend a ticket by less writes nothing: a media player requests many ranges a
 * second.
 */
const LEAST_EXTENSION = 10 * SECOND;

export interface NewTicket {
  readonly link: LinkDoc;
  readonly id: string;
  readonly token: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

const PREFIX = { download: 'dt', upload: 'ut' } as const;

/**
 * Issues and verifies tickets. Each use reads the ticket's row, the link's row and its owner; none
 * is cached.
 */
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
    const now = this.clock.now();
    const expiresAt = now + TICKET_MS;
    await this.#tickets.insert({
      _id: id,
      link_id: link._id,
      secret_hash: secretHash,
      issued_at: now,
      expires_at: expiresAt,
      taken: false,
    });
    return { link, id, token, expiresAt };
  }

  /**
   * The link behind the ticket `ticketId` for downloads, which this use extends. The use was spent
   * when the ticket was issued.
   * @throws DomainError `unauthenticated` (not a ticket), `token_expired`, `link_expired` (removed,
   * expired, or its owner disabled).
   */
  async download(ticketId: string, token: string): Promise<LinkDoc> {
    if (presentedSecret(PREFIX.download, token)?.id !== ticketId) throw noTicket();
    const { ticket, link } = await this.#behind('download', token);
    // Most requests of a media player come too soon to extend it: those read the row once.
    if (this.#extended(ticket) !== undefined) await this.#extend(ticketId);
    return link;
  }

  /**
   * Extends a ticket while a long response is sent, so that an interrupted download can be resumed,
   * until the returned function is called.
   */
  keepAlive(ticketId: string, intervalMs = MINUTE): () => void {
    const begun = this.clock.now();
    const timer = setInterval(() => void this.#extend(ticketId), intervalMs).unref();
    return () => {
      clearInterval(timer);
      if (this.clock.now() - begun >= LEAST_EXTENSION) void this.#extend(ticketId);
    };
  }

  override isTicket(token: string): boolean {
    return presentedSecret('ut', token) !== undefined;
  }

  /** @throws as `download` */
  override async uploader(token: string): Promise<LinkHolder> {
    const { ticket, link } = await this.#behind('upload', token);
    const { _id: linkId, owner_id: ownerId, max_size: largest } = link;
    return {
      kind: 'link-holder',
      ownerId,
      actor: 'anonymous',
      scopes: ['files:write'],
      ...{ linkId, ticketId: ticket._id, largest },
      requireStillAdmitted: () => this.#requireLink(linkId),
    };
  }

  /** Whether the link exists still and its owner is enabled. */
  async #requireLink(linkId: string): Promise<void> {
    await this.#requireOwner(await this.#links.find('_id', linkId));
  }

  /**
   * Reserves the ticket for one upload: of several at the same time one succeeds.
   * @throws DomainError `conflict`
   */
  async take(ticketId: string): Promise<void> {
    const outcome = { taken: false };
    await update(this.#tickets, ticketId, (ticket) => {
      outcome.taken = !ticket.taken;
      return outcome.taken ? { ...ticket, taken: true } : undefined;
    });
    if (!outcome.taken)
      throw new DomainError('conflict', { detail: 'This download token was used already. Open the link again.' });
  }

  /** After a failed upload: the sender may retry while the ticket is valid. */
  async giveBack(ticketId: string): Promise<void> {
    await update(this.#tickets, ticketId, (ticket) => ({ ...ticket, taken: false }));
  }

  /** Ignores a failure of the store: the ticket keeps the time that it has. */
  async #extend(ticketId: string): Promise<void> {
    await update(this.#tickets, ticketId, (ticket) => this.#extended(ticket)).catch(() => undefined);
  }

  /** The ticket as extended by a use now; undefined where that is hardly longer. */
  #extended(ticket: TicketDoc): TicketDoc | undefined {
    const now = this.clock.now();
    // A process that slept does not revive an expired ticket.
    if (ticket.expires_at <= now) return undefined;
    const { issued_at = ticket.expires_at - TICKET_MS } = ticket;
    const expires_at = Math.min(now + TICKET_MS, issued_at + LONGEST_TICKET_MS);
    return expires_at - ticket.expires_at < LEAST_EXTENSION ? undefined : { ...ticket, issued_at, expires_at };
  }

  async #behind(kind: LinkKind, token: string): Promise<{ ticket: TicketDoc; link: LinkDoc }> {
    const presented = presentedSecret(PREFIX[kind], token);
    const ticket = presented && (await this.#tickets.find('_id', presented.id));
    if (presented === undefined || ticket === undefined || !secretMatches(presented.secret, ticket.secret_hash)) {
      throw noTicket();
    }
    const now = this.clock.now();
    if (ticket.expires_at <= now) throw new DomainError('token_expired', { detail: 'Open the link again.' });
    const link = await this.#links.find('_id', ticket.link_id);
    if (link?.kind !== kind || (link.expires_at ?? Infinity) <= now) throw ended();
    await this.#requireOwner(link);
    return { ticket, link };
  }

  async #requireOwner(link: LinkDoc | undefined): Promise<void> {
    if (link === undefined || !(await this.users.serves(link.owner_id))) throw ended();
  }
}

const noTicket = (): DomainError =>
  new DomainError('unauthenticated', { detail: 'Not a valid download token. Open the link first.' });

const ended = (): DomainError => new DomainError('link_expired', { detail: 'The link was revoked.' });
