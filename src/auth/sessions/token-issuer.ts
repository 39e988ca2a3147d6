import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { AccessTokens } from './access-tokens';
import { RefreshTokens } from './refresh-tokens';
import { ClientInfo } from './session-client';
import { AuthMethod, SessionDoc } from './session.collection';
import { Sessions } from './sessions';

/** The response of a login. */
export interface TokenPair {
  readonly access_token: string;
  readonly token_type: 'bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
}

/** Issues token pairs; both tokens belong to the session's current generation. */
@Injectable()
export class TokenIssuer {
  constructor(
    private readonly sessions: Sessions,
    private readonly accessTokens: AccessTokens,
    private readonly refreshTokens: RefreshTokens,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {}

  /**
   * Issues tokens for a complete login of `user`, as the row was when the proof was checked. Checks
   * the account again after the session's row is stored: an erasure, a disablement and a new
   * password mark the account first and then end its sessions. Either they find this session, or
   * this check finds the mark.
   * @throws DomainError `invalid_session`
   */
  async open(user: UserDoc, amr: readonly AuthMethod[], client: ClientInfo): Promise<TokenPair> {
    const session = await this.sessions.open(user._id, amr, client);
    const now = await this.users.byId(user._id);
    const holds = now?.state === 'active' && now.password_changed_at === user.password_changed_at;
    if (holds) return this.issue(session);
    await this.sessions.end(session._id);
    const detail = now?.state === 'active' ? 'The password was changed. Log in again.' : 'The account is closed.';
    throw new DomainError('invalid_session', { detail });
  }

  /**
   * Replaces all tokens of the session.
   * @throws DomainError `invalid_session`
   */
  async replace(sessionId: string, amr?: readonly AuthMethod[]): Promise<TokenPair> {
    return this.issue(await this.sessions.renew(sessionId, amr));
  }

  async issue(session: SessionDoc): Promise<TokenPair> {
    const { token, expiresIn } = await this.accessTokens.sign(session, this.clock.now());
    return {
      access_token: token,
      token_type: 'bearer',
      expires_in: expiresIn,
      refresh_token: this.refreshTokens.of(session),
    };
  }
}
