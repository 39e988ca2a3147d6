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

/**
 * `<sid>.<generation>.<HMAC>`: derived, so that the store holds only the generation number and no
 * secret.
 */
const TOKEN = /^([0-9a-f-]{36})\.([1-9]\d{0,9})\.([A-Za-z0-9_-]{43})$/;

/**
 * Time in which the previous refresh token still returns the current one, for lost responses and
 * parallel requests.
 */
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
   * Redeems a refresh token and returns the session in its next generation.
   * Parallel requests with the same token, and repeated ones within the replay window, get the same
   * generation. A later reuse counts as theft and ends the session.
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
      // Another request was first, or a rotation of the user key re-encrypted the row: the
      // generation tells which.
    }
  }

  async #replayed({ sessionId, generation }: Presented, session: SessionDoc | undefined): Promise<SessionDoc> {
    if (session === undefined) {
      const what = { action: 'session.refresh', actor: 'anonymous', resource: `session/${sessionId}` } as const;
      this.audit.note({ ...what, details: { code: 'invalid_session' } }, 'refused');
      throw invalidSession();
    }
    // Void since a step-up replaced the session's tokens. The token gives no access, so it is no
    // reason to end the session.
    if (generation < session.floor) {
      this.#note('session.void-refresh', session, 'refused');
      throw invalidSession();
    }
    const recent = Math.abs(this.clock.now() - session.rotated_at) <= REPLAY_WINDOW_MS;
    if (recent && generation === session.generation - 1) return session;
    // Either the owner or a thief holds the newer token, and it is unknown which: the session ends
    // for both.
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
