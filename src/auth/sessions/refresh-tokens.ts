import { Injectable } from '@nestjs/common';
import {
  AuditAction,
  AuditOutcome,
  AuditSink,
  Clock,
  DomainError,
  notedIfRefused,
  SECOND,
  SystemSecrets,
} from '../../kernel';
import { sameMac, tokenMac } from '../token-mac';
import { SessionDoc } from './session.collection';
import { Sessions } from './sessions';

/** `<sid>.<generation>.<HMAC>`: derived, so that the store holds the number of the generation and nothing to steal. */
const TOKEN = /^([0-9a-f-]{36})\.([1-9]\d{0,9})\.([A-Za-z0-9_-]{43})$/;

/** How long the former refresh token still gives the present one: for answers that were lost and for parallel requests. */
export const REPLAY_WINDOW_MS = 20 * SECOND;

interface Presented {
  readonly sessionId: string;
  readonly generation: number;
}

@Injectable()
export class RefreshTokens {
  constructor(
    private readonly sessions: Sessions,
    private readonly secrets: SystemSecrets,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {}

  of(session: SessionDoc): string {
    return `${session._id}.${session.generation}.${this.#mac(session._id, session.generation)}`;
  }

  /**
   * Spends a refresh token: the session in its next generation. Requests that present the same one in parallel, or again within the
   * replay window, all get the same generation. Later it is taken for stolen, and the session ends.
   * @throws DomainError `invalid_session`
   */
  async redeem(token: string): Promise<SessionDoc> {
    const what = { action: 'session.refresh', actor: 'anonymous' } as const;
    const presented = await notedIfRefused(this.audit, what, () => this.#parse(token));
    for (;;) {
      const session = await this.sessions.alive(presented.sessionId);
      if (presented.generation !== session?.generation) return this.#replayed(presented, session);
      const advanced = await this.sessions.advance(session);
      if (advanced !== undefined) return advanced;
      // Another request was first, or the row was only sealed again under a new user key: the generation says which.
    }
  }

  async #replayed({ sessionId, generation }: Presented, session: SessionDoc | undefined): Promise<SessionDoc> {
    if (session === undefined) {
      const what = { action: 'session.refresh', actor: 'anonymous', resource: `session/${sessionId}` } as const;
      this.audit.note({ ...what, details: { code: 'invalid_session' } }, 'refused');
      throw invalidSession();
    }
    // Void since the owner proved who they are and got new tokens: it opens nothing, so it is no reason to end what they hold.
    if (generation < session.floor) {
      this.#note('session.void-refresh', session, 'refused');
      throw invalidSession();
    }
    const recent = Math.abs(this.clock.now() - session.rotated_at) <= REPLAY_WINDOW_MS;
    if (recent && generation === session.generation - 1) return session;
    // Either the owner or a thief holds the newer token, and nobody can tell which: it ends for both.
    await this.sessions.end(session._id);
    this.#note('session.refresh-reuse', session, 'done');
    throw invalidSession();
  }

  #note(action: AuditAction, session: SessionDoc, outcome: AuditOutcome): void {
    this.audit.note({ action, actor: session.user_id, resource: `session/${session._id}` }, outcome);
  }

  #parse(token: string): Presented {
    const [, sessionId, generation, mac] = TOKEN.exec(token) ?? [];
    if (sessionId === undefined || generation === undefined || mac === undefined) throw invalidSession();
    if (!sameMac(this.#mac(sessionId, Number(generation)), mac)) throw invalidSession();
    return { sessionId, generation: Number(generation) };
  }

  #mac(sessionId: string, generation: number): string {
    return tokenMac(this.secrets, 'refresh-token', sessionId, generation);
  }
}

const invalidSession = (): DomainError =>
  new DomainError('invalid_session', { detail: 'The session has ended, or this token was replaced. Log in again.' });
