import { Doc, defineCollection } from '../store';

/** What opening a link gives: good for five minutes after its last use, and only for as long as the link itself is there. */
export interface TicketDoc extends Doc {
  readonly link_id: string;
  /** SHA-256 of its secret, lowercase hex. */
  readonly secret_hash: string;
  /** Absent on the rows of former releases, whose tickets were never extended. */
  readonly issued_at?: number;
  readonly expires_at: number;
  /** On a drop box's ticket: an upload holds it. One ticket is one file. */
  readonly taken: boolean;
}

export const ticketCollection = defineCollection<TicketDoc>({
  name: 'link_tickets',
  fields: { link_id: 'string', secret_hash: 'string', issued_at: 'time', expires_at: 'time', taken: 'boolean' },
  plaintext: ['link_id', 'issued_at', 'expires_at', 'taken'],
  indexes: { link: { fields: ['link_id'] } },
  expiry: 'expires_at',
  tampered: 'absent',
});
