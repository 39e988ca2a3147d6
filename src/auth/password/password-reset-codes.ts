import { Injectable } from '@nestjs/common';
import { derivedCode, derivedCodeMatches } from '../../crypto';
import { Clock, HOUR, MINUTE, newId, SystemSecrets } from '../../kernel';
import { Collection, Draft, Store, updateOrInsert } from '../../store';
import { KeyedMutex, parseEmail, UserDoc, Users } from '../../users';
import { CODE_MS } from '../code-life';
import { isInvitationSecret, newInvitationCode, presentedInvitation } from '../invitations/invitation-code';
import { tokenMac } from '../token-mac';
import { PasswordResetDoc, passwordResetsCollection } from './password-reset.collection';

/** Between two mails of one reset. */
const MAIL_PAUSE_MS = MINUTE;
/** A code that is good for less is not mailed again: the next mail has a new one. */
const SHORTEST_MS = 2 * MINUTE;
/** How long an operator's code is good, who may have to tell it by telephone. */
export const OPERATOR_CODE_MS = HOUR;

export interface ProvedReset {
  readonly user: UserDoc;
  /** Handed out by an operator, who has removed the second factors. */
  readonly byOperator: boolean;
  readonly row: PasswordResetDoc;
}

type NewReset = Omit<Draft<PasswordResetDoc>, '_id'>;

/**
 * The codes of password resets. 120 bits and more, so that none is guessed however many addresses
 * are tried.
 */
@Injectable()
export class PasswordResetCodes {
  readonly #rows: Collection<PasswordResetDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly users: Users,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(passwordResetsCollection);
  }

  /**
   * The reset of an address as it is to be mailed now; undefined where it was mailed a moment ago.
   * Asks for no account.
   */
  async open(address: string): Promise<NewReset | undefined> {
    const id = this.#id(address);
    const now = this.clock.now();
    let opened: NewReset | undefined;
    await this.#queue.run(id, () =>
      updateOrInsert(this.#rows, id, (row) => {
        opened = Math.abs(now - (row?.mailed_at ?? 0)) < MAIL_PAUSE_MS ? undefined : this.#renewed(row, now);
        return opened;
      }),
    );
    return opened;
  }

  /** Bound to the account and to its password: another password voids it. */
  code({ nonce }: NewReset, { _id, password_changed_at }: UserDoc): string {
    return derivedCode(this.secrets.oneTimeCodes, ['password-reset', nonce, _id, password_changed_at]);
  }

  /** The reset that this code opens, if it is one of this address and of an active account. */
  async proved(email: string, code: string): Promise<ProvedReset | undefined> {
    const address = parseEmail(email)?.folded;
    if (address === undefined) return undefined;
    const ofOperator = presentedInvitation(code);
    if (ofOperator !== undefined) return this.#ofOperator(address, ofOperator);
    const row = await this.#rows.find('_id', this.#id(address));
    const user = await this.users.byVerifiedEmail(address);
    if (row === undefined || user?.state !== 'active' || !this.#holds(row, CODE_MS)) return undefined;
    return derivedCodeMatches(this.code(row, user), code) ? { user, byOperator: false, row } : undefined;
  }

  /** A code to tell to the owner, good for an hour. A former one is void. */
  async issue({ _id }: UserDoc): Promise<string> {
    const { code, secretHash } = newInvitationCode(_id);
    const expires_at = this.clock.now() + OPERATOR_CODE_MS;
    await updateOrInsert(this.#rows, _id, () => ({ nonce: newId(), expires_at, secret_hash: secretHash }));
    return code;
  }

  /** Uses the code up. True for exactly one caller. */
  consume({ _id, nonce }: PasswordResetDoc): Promise<boolean> {
    return this.#queue.run(_id, async () => {
      for (;;) {
        const row = await this.#rows.find('_id', _id);
        if (row?.nonce !== nonce) return false;
        if (await this.#rows.remove(_id, row.rev)) return true;
      }
    });
  }

  async #ofOperator(
    address: string,
    { id, secret }: { readonly id: string; readonly secret: string },
  ): Promise<ProvedReset | undefined> {
    const [row, user] = await Promise.all([this.#rows.find('_id', id), this.users.byId(id)]);
    if (row?.secret_hash === undefined || !isInvitationSecret(secret, row.secret_hash)) return undefined;
    const isMeant = user?.state === 'active' && parseEmail(user.email)?.folded === address;
    return isMeant && this.#holds(row, OPERATOR_CODE_MS) ? { user, byOperator: true, row } : undefined;
  }

  #renewed(row: PasswordResetDoc | undefined, now: number): NewReset {
    const isGood = row !== undefined && this.#holds(row, CODE_MS) && row.expires_at - now >= SHORTEST_MS;
    if (isGood) return { nonce: row.nonce, expires_at: row.expires_at, mailed_at: now };
    return { nonce: newId(), expires_at: now + CODE_MS, mailed_at: now };
  }

  /**
   * Not one from a time that the clock has gone back before, where it would hold for longer than it
   * was made for.
   */
  #holds({ expires_at }: PasswordResetDoc, lifeMs: number): boolean {
    const left = expires_at - this.clock.now();
    return left > 0 && left <= lifeMs + MINUTE;
  }

  #id(address: string): string {
    return tokenMac(this.secrets, 'password-reset', address);
  }
}
