import { Injectable } from '@nestjs/common';
import { Clock, DAY, DomainError, isDomainError, newId } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, scanPages, ListOptions, Page, Store, update } from '../../store';
import { ClientInfo, sealClient } from './session-client';
import { AuthMethod, SessionDoc, sessionsCollection } from './session.collection';

/** A session ends after this time without a refresh. */
export const SESSION_IDLE_MS = 7 * DAY;
/** Maximum lifetime of a session from its login. */
export const SESSION_LIFE_MS = 30 * DAY;
export const MAX_SESSIONS = 20;

/** Storage of sessions. A session has ended when its row is removed or expired. */
@Injectable()
export class Sessions {
  readonly #rows: Collection<SessionDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(sessionsCollection);
  }

  /** Opens a session; ends the user's oldest sessions beyond 20. */
  async open(userId: string, amr: readonly AuthMethod[], client: ClientInfo): Promise<SessionDoc> {
    const now = this.clock.now();
    const opened = await this.#rows.insert({
      _id: newId(),
      user_id: userId,
      generation: 1,
      floor: 1,
      auth_time: now,
      amr,
      created_at: now,
      rotated_at: now,
      expires_at: expiryOf(now, now),
    });
    await this.#trim(userId);
    return this.#withClient(opened, client);
  }

  /** Returns the session if it has not ended. */
  async alive(id: string): Promise<SessionDoc | undefined> {
    const session = await this.#rows.find('_id', id);
    return session !== undefined && this.isAlive(session) ? session : undefined;
  }

  /** Rows outlive their sessions until a sweep. */
  isAlive({ expires_at }: SessionDoc): boolean {
    return expires_at > this.clock.now();
  }

  /** All sessions of a user that pass MAC verification, read from the rows themselves. */
  every(userId: string): AsyncGenerator<SessionDoc> {
    return scanPages(this.#rows, 'user', [userId]);
  }

  /**
   * Advances to the next generation if the row is unchanged; undefined if another request was
   * first.
   */
  advance(session: SessionDoc): Promise<SessionDoc | undefined> {
    return this.#rows.replace(this.#next(session));
  }

  /**
   * Replaces all tokens: those of any former generation become void at once. With `amr`, sets
   * `auth_time` to now and the authentication methods.
   * @throws DomainError `invalid_session` if the session has ended meanwhile
   */
  async renew(id: string, amr?: readonly AuthMethod[]): Promise<SessionDoc> {
    const renewed = await update(this.#rows, id, (session) => {
      const next = this.#next(session);
      if (amr === undefined) return { ...next, floor: next.generation };
      const { password_attempts: _forgotten, ...rest } = next;
      return { ...rest, amr, auth_time: next.rotated_at, floor: next.generation };
    });
    if (renewed === undefined) throw new DomainError('invalid_session');
    return renewed;
  }

  /**
   * Changes the current row of the session; `edit` may run more than once.
   * @throws DomainError `invalid_session` if the session has ended
   */
  async change(id: string, edit: (session: SessionDoc) => SessionDoc | undefined): Promise<void> {
    if ((await update(this.#rows, id, edit)) === undefined) throw new DomainError('invalid_session');
  }

  end(id: string): Promise<boolean> {
    return this.#rows.remove(id);
  }

  /** Ends all sessions of a user except `keep` and returns their number. */
  async endAll(userId: string, keep?: string): Promise<number> {
    let ended = 0;
    for (;;) {
      // Reads one more than may be kept, so that a page with only the kept session is the last one.
      const { items } = await this.#rows.list('user', [userId], { limit: MAX_SESSIONS + 1 });
      const others = items.filter((session) => session._id !== keep);
      for (const session of others) ended += (await this.#rows.remove(session._id)) ? 1 : 0;
      if (others.length === 0) return ended;
    }
  }

  /** May include rows of ended sessions. */
  list(userId: string, options: ListOptions): Promise<Page<SessionDoc>> {
    return this.#rows.list('user', [userId], options);
  }

  /** Compare-and-set on the revision that was read. */
  replace(session: SessionDoc): Promise<SessionDoc | undefined> {
    return this.#rows.replace(session);
  }

  #next(session: SessionDoc): SessionDoc {
    const now = this.clock.now();
    const expires_at = expiryOf(session.created_at, now);
    return { ...session, generation: session.generation + 1, rotated_at: now, expires_at };
  }

  /**
   * The row was just written, before the key row is read, and is replaced by compare-and-set, so
   * the wrap protocol is not needed.
   * Without the key service the session has no client data: routes that use only cached keys still
   * work. If the key has just been erased, the caller of `open` detects it by the account.
   */
  async #withClient(session: SessionDoc, client: ClientInfo): Promise<SessionDoc> {
    try {
      const sealed = await this.sealer.with(session.user_id, (keys) => sealClient(keys, session._id, client));
      return (await this.#rows.replace({ ...session, client: sealed })) ?? session;
    } catch (error) {
      if (isDomainError(error, 'kms_unavailable', 'not_found')) return session;
      throw error;
    }
  }

  async #trim(userId: string): Promise<void> {
    for (;;) {
      const { items } = await this.#rows.list('user', [userId], { limit: 2 * MAX_SESSIONS });
      if (items.length <= MAX_SESSIONS) return;
      await Promise.all(items.slice(0, items.length - MAX_SESSIONS).map((session) => this.#rows.remove(session._id)));
    }
  }
}

const expiryOf = (createdAt: number, rotatedAt: number): number =>
  Math.min(createdAt + SESSION_LIFE_MS, rotatedAt + SESSION_IDLE_MS);
