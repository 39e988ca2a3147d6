import { Injectable } from '@nestjs/common';
import { PasswordHasher } from '../crypto';
import { Clock, DomainError, failpoint } from '../kernel';
import { Collection, Store, update } from '../store';
import {
  attempt,
  Checked,
  CounterStore,
  lockout,
  LockoutCounts,
  lockoutCounts,
  requireAdmission,
  Users,
  withLockoutCounts,
} from '../users';
import { LinkDoc, LinkKind, linkCollection } from './link.collection';
import { presentedSecret, secretMatches } from './links';
import { NewTicket, Tickets } from './tickets';

/** The credentials for a link. */
export interface LinkKey {
  readonly kind: LinkKind;
  readonly token: string;
  readonly password: string | undefined;
}

/**
 * Redeems links. Checks the secret, the owner, expiry and count, the resource and the password, in
 * this order. Then one conditional write spends a use, so that racing requests never spend more
 * than are left.
 */
@Injectable()
export class LinkRedemption {
  readonly #rows: Collection<LinkDoc>;

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly hasher: PasswordHasher,
    private readonly tickets: Tickets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(linkCollection);
  }

  /**
   * `admit` checks the resource, and refuses by throwing: nothing is spent then.
   * @throws DomainError `not_found` (no such link, wrong secret, tampered row, owner disabled),
   * `link_expired` (past its time, or used up), `login_failed` (wrong or missing password),
   * `too_many_attempts`, `overloaded`, what `admit` throws.
   */
  async open(key: LinkKey, admit: (link: LinkDoc) => Promise<void>): Promise<NewTicket> {
    const link = await this.#presented(key);
    this.#requireLive(link);
    await admit(link);
    await this.#checkPassword(link, key.password);
    await this.#spend(link._id);
    failpoint('link.spent');
    return this.tickets.issue(link);
  }

  /** The id that this token names, for the log. The link may not exist. */
  claimedId({ kind, token }: Pick<LinkKey, 'kind' | 'token'>): string | undefined {
    return presentedSecret(kind === 'download' ? 'd' : 'u', token)?.id;
  }

  async #presented({ kind, token }: LinkKey): Promise<LinkDoc> {
    const presented = presentedSecret(kind === 'download' ? 'd' : 'u', token);
    const link = presented && (await this.#rows.find('_id', presented.id));
    if (presented === undefined || link?.kind !== kind || !secretMatches(presented.secret, link.secret_hash)) {
      throw noLink();
    }
    if (!(await this.users.serves(link.owner_id))) throw noLink();
    return link;
  }

  #requireLive({ expires_at = Infinity, max_uses = Infinity, uses }: LinkDoc): void {
    if (expires_at > this.clock.now() && uses < max_uses) return;
    throw new DomainError('link_expired', {
      detail: 'This link has expired or has no downloads left.',
    });
  }

  /** A request without a password does not count as a failed attempt. */
  async #checkPassword(link: LinkDoc, password: string | undefined): Promise<void> {
    const { hashed_password: stored, salt = '' } = link;
    if (stored === undefined) return;
    if (password === undefined) throw wrongPassword();
    const owner = { userId: link._id, salt: Buffer.from(salt, 'hex') };
    const ledger = this.#ledger(link._id);
    await requireAdmission(lockout, ledger, this.clock);
    const isRight = await this.hasher.inTurn(link._id, (turn) =>
      attempt(lockout, ledger, this.clock, async (): Promise<Checked<boolean>> => {
        const { ok } = await turn.verify(password, stored, owner);
        return { settle: ok ? 'cleared' : 'failed', value: ok };
      }),
    );
    if (!isRight) throw wrongPassword();
  }

  async #spend(linkId: string): Promise<void> {
    const link = await update(this.#rows, linkId, (row) => {
      this.#requireLive(row);
      return { ...row, uses: row.uses + 1 };
    });
    if (link === undefined) throw noLink();
  }

  #ledger(linkId: string): CounterStore<LockoutCounts> {
    return {
      change: async (edit) => {
        await update(this.#rows, linkId, (row) => {
          const counts = edit(lockoutCounts(row));
          return counts && withLockoutCounts(row, counts);
        });
      },
    };
  }
}

const noLink = (): DomainError => new DomainError('not_found', { detail: 'There is no such link.' });

const wrongPassword = (): DomainError => new DomainError('login_failed', { detail: 'Wrong password.' });
