import { Injectable } from '@nestjs/common';
import { Clock, DomainError, MINUTE, newId, SystemSecrets } from '../../kernel';
import { Collection, DuplicateKey, Store, update } from '../../store';
import { KeyedMutex, UserDoc } from '../../users';
import { CODE_MS } from '../code-life';
import { sameMac, tokenMac } from '../token-mac';
import { ChallengeDoc, challengesCollection, CodePurpose } from './challenge.collection';

export const CODE_TRIES = 5;

const MFA_TOKEN = /^mfa\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;

/** Open challenges. Each can be consumed once: one compare-and-set removes its row. */
@Injectable()
export class Challenges {
  readonly #rows: Collection<ChallengeDoc>;
  readonly #queue = new KeyedMutex();

  constructor(
    store: Store,
    private readonly secrets: SystemSecrets,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(challengesCollection);
  }

  /** Opens the challenge of a login with a correct password and a pending second factor. */
  async openLogin({ _id, password_changed_at }: UserDoc, byAddress: boolean): Promise<ChallengeDoc> {
    const id = newId();
    return this.#rows.insert({
      ...this.#fresh(id, _id, 'login', id),
      ...(byAddress && { by_address: true }),
      ...(password_changed_at !== undefined && { password_changed_at }),
    });
  }

  /** Valid only for the second step of that login. */
  mfaToken(challenge: ChallengeDoc): string {
    return `mfa.${challenge._id}.${this.#mac(challenge._id)}`;
  }

  /**
   * @throws DomainError `invalid_session` if the token is invalid, or its login is complete or
   * expired
   */
  async byMfaToken(token: string): Promise<ChallengeDoc> {
    const [, id, mac] = MFA_TOKEN.exec(token) ?? [];
    if (id === undefined || mac === undefined || !sameMac(this.#mac(id), mac)) throw loginOver();
    const challenge = await this.#rows.find('_id', id);
    if (challenge?.purpose !== 'login' || !this.#holds(challenge)) throw loginOver();
    return challenge;
  }

  /** The session's challenge of this purpose, if its code may still be valid. */
  async ofSession(sessionId: string, purpose: CodePurpose): Promise<ChallengeDoc | undefined> {
    const challenge = await this.#rows.find('_id', sessionKey(sessionId, purpose));
    return challenge !== undefined && this.#holds(challenge) ? challenge : undefined;
  }

  /**
   * Like `ofSession`, but creates a missing challenge; an expired or exhausted one, or one for
   * another address, gets a new code.
   */
  async openForSession(sessionId: string, userId: string, purpose: CodePurpose, email?: string): Promise<ChallengeDoc> {
    const id = sessionKey(sessionId, purpose);
    const address = email === undefined ? {} : { email };
    const present = await update(this.#rows, id, (row) =>
      this.#usable(row) && row.email === email ? undefined : { ...this.#renewed(row), ...address },
    );
    if (present !== undefined) return present;
    try {
      return await this.#rows.insert({ ...this.#fresh(id, userId, purpose, sessionId), ...address });
    } catch (error) {
      if (error instanceof DuplicateKey) return this.openForSession(sessionId, userId, purpose, email);
      throw error;
    }
  }

  usedUp(challenge: ChallengeDoc): boolean {
    return challenge.tries >= CODE_TRIES;
  }

  /**
   * Changes the current row of the challenge; undefined if the challenge was consumed meanwhile.
   */
  change(id: string, edit: (row: ChallengeDoc) => ChallengeDoc | undefined): Promise<ChallengeDoc | undefined> {
    return this.#queue.run(id, () => update(this.#rows, id, edit));
  }

  /** Uses one of the 5 tries, before the code is compared. Returns false if none is left. */
  async spendTry({ _id, nonce }: ChallengeDoc): Promise<boolean> {
    let spent = false;
    await this.change(_id, (row) => {
      spent = row.nonce === nonce && this.#usable(row);
      return spent ? { ...row, tries: row.tries + 1 } : undefined;
    });
    return spent;
  }

  /** Consumes the challenge. Returns true to exactly one caller. */
  async consume({ _id, nonce }: ChallengeDoc): Promise<boolean> {
    return this.#queue.run(_id, async () => {
      for (;;) {
        const row = await this.#rows.find('_id', _id);
        if (row?.nonce !== nonce) return false;
        if (await this.#rows.remove(_id, row.rev)) return true;
      }
    });
  }

  /** Removes all challenges of a user and returns their number. */
  async removeAll(userId: string): Promise<number> {
    let removed = 0;
    for (;;) {
      const { items } = await this.#rows.list('user', [userId], { limit: 100 });
      if (items.length === 0) return removed;
      for (const row of items) removed += (await this.#rows.remove(row._id)) ? 1 : 0;
    }
  }

  /**
   * True if not expired. Also rejects a challenge created before the clock was set back, which
   * would be valid for too long.
   */
  #holds({ expires_at }: ChallengeDoc): boolean {
    const left = expires_at - this.clock.now();
    return left > 0 && left <= CODE_MS + MINUTE;
  }

  #usable(challenge: ChallengeDoc): boolean {
    return this.#holds(challenge) && !this.usedUp(challenge);
  }

  #fresh(id: string, userId: string, purpose: CodePurpose, sessionId: string): Omit<ChallengeDoc, 'rev'> {
    const expires_at = this.clock.now() + CODE_MS;
    return { _id: id, user_id: userId, purpose, session_id: sessionId, nonce: newId(), tries: 0, expires_at };
  }

  /** `mailed_at` stays, so that a new code does not bypass the pause between two mails. */
  #renewed(row: ChallengeDoc): ChallengeDoc {
    return { ...row, nonce: newId(), tries: 0, expires_at: this.clock.now() + CODE_MS };
  }

  #mac(id: string): string {
    return tokenMac(this.secrets, 'mfa-token', id);
  }
}

const sessionKey = (sessionId: string, purpose: CodePurpose): string => `${sessionId}:${purpose}`;

const loginOver = (): DomainError =>
  new DomainError('invalid_session', { detail: 'This login has ended or expired. Log in again.' });
