import { Injectable } from '@nestjs/common';
import { Clock, currentRequester, HOUR, SystemSecrets } from '../../kernel';
import { Collection, Store, updateOrInsert } from '../../store';
import { KeyedMutex } from '../../users';
import { tokenMac } from '../token-mac';
import { AddressMailsDoc, addressMailsCollection } from './address-mails.collection';
import { AskedMail, decide, SentMail } from './mail-shares';
import { mailboxOf } from './mailbox';

export interface ReservedMail {
  /** Milliseconds until a mail is allowed; 0 if it was reserved. */
  readonly waitMs: number;
  /** False if the mail must be skipped silently. */
  readonly goesOut: boolean;
  /** Releases the reservation of a mail that could not be sent. */
  giveBack(): Promise<void>;
}

/**
 * One allowance for each address, across all kinds of mail, requesters and processes. A
 * compare-and-set reserves each mail before it is sent.
 */
@Injectable()
export class AddressMails {
  readonly #rows: Collection<AddressMailsDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(addressMailsCollection);
  }

  async reserve(address: string, kind: AskedMail): Promise<ReservedMail> {
    const mailbox = mailboxOf(address);
    const id = tokenMac(this.secrets, 'mail-address', mailbox);
    const client = this.#client(mailbox);
    const now = this.clock.now();
    let decision = decide([], { kind, client }, now);
    await this.#change(id, (sent) => {
      decision = decide(sent, { kind, client }, now);
      return decision.waitMs > 0 ? undefined : decision.sent;
    });
    const { waitMs, goesOut } = decision;
    const reserved = decision.sent.at(-1);
    const giveBack = (): Promise<void> =>
      waitMs > 0 || reserved === undefined ? Promise.resolve() : this.#giveBack(id, reserved);
    return { waitMs, goesOut, giveBack };
  }

  /**
   * A MAC of the requester's network and this mailbox, so that rows do not reveal that one client
   * requested mails to several addresses.
   */
  #client(mailbox: string): string | undefined {
    const network = currentRequester()?.address;
    return network === undefined ? undefined : tokenMac(this.secrets, 'mail-client', mailbox, network);
  }

  #giveBack(id: string, { at, kind, client }: SentMail): Promise<void> {
    return this.#change(id, (sent) => {
      const index = sent.findIndex((mail) => mail.at === at && mail.kind === kind && mail.client === client);
      return index < 0 ? undefined : sent.toSpliced(index, 1);
    });
  }

  #change(id: string, edit: (sent: readonly SentMail[]) => readonly SentMail[] | undefined): Promise<void> {
    const expires_at = this.clock.now() + 2 * HOUR;
    return this.#queue.run(id, () =>
      updateOrInsert(this.#rows, id, (row) => {
        const sent = edit(row?.sent ?? []);
        return sent && { ...row, sent, expires_at };
      }),
    );
  }
}
