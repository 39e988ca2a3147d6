import { Doc, defineCollection, plain } from '../../store';
import { SentMail } from './mail-shares';

/** Mails to one mailbox in the last hour. `_id` is an HMAC of its address. */
export interface AddressMailsDoc extends Doc {
  readonly sent: readonly SentMail[];
  readonly expires_at: number;
}

export const addressMailsCollection = defineCollection<AddressMailsDoc>({
  name: 'address_mails',
  fields: { sent: plain.json, expires_at: plain.time },
  expiry: 'expires_at',
  tampered: 'absent',
});
