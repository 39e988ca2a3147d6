import { Injectable } from '@nestjs/common';
import { Clock, DomainError } from '../../kernel';
import { Users } from '../../users';
import { AccessTokens } from './access-tokens';
import { RefreshTokens } from './refresh-tokens';
import { ClientInfo } from './session-client';
import { AuthMethod, SessionDoc } from './session.collection';
import { Sessions } from './sessions';

/** What a login answers. */
export interface TokenPair {
  readonly access_token: string;
  readonly token_type: 'bearer';
  /** Seconds. */
  readonly expires_in: number;
  readonly refresh_token: string;
}

/** Gives out tokens: each time both of the session's present generation. */
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
   * For a login that is complete. The account is looked at once more behind the session's row: an erase marks the account first and then ends
   * its sessions, so either it sees this one or this sees the mark. @throws DomainError `invalid_session`
   */
  async open(userId: string, amr: readonly AuthMethod[], client: ClientInfo): Promise<TokenPair> {
    const session = await this.sessions.open(userId, amr, client);
    if ((await this.users.byId(userId))?.state === 'active') return this.issue(session);
    await this.sessions.end(session._id);
    throw new DomainError('invalid_session', { detail: 'The account is closed.' });
  }

  /** In place of all that the session had. @throws DomainError `invalid_session` */
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
