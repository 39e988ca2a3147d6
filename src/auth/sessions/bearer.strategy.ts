import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { ExtractJwt, Strategy, StrategyOptionsWithoutRequest } from 'passport-jwt';
import { CONFIG, Config } from '../../config';
import { hmacKeyObject } from '../../crypto';
import { Clock, DomainError, Person, SECOND, scopesOf } from '../../kernel';
import { UserDoc, Users } from '../../users';
import { AccessClaims, ALGORITHM, AUDIENCE, ISSUER, TOKEN_TYPE } from './access-tokens';
import { SessionDoc } from './session.collection';
import { Sessions } from './sessions';

/** Another replica's clock may be ahead of ours by this much. */
const MAX_SKEW_SECONDS = 60;

interface CompleteToken {
  readonly header: { readonly typ?: unknown };
  readonly payload: unknown;
}

/**
 * What a bearer token must hold: our signature under one pinned algorithm (`none`, `jku` and `jwk` have no say), issuer, audience, type
 * and time; then a session that has not ended, in a generation that was not replaced, of an account that is enabled.
 */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy, 'coffer-bearer') {
  constructor(
    private readonly sessions: Sessions,
    private readonly users: Users,
    private readonly clock: Clock,
    @Inject(CONFIG) config: Config,
  ) {
    super(verification(config));
  }

  /** @throws DomainError as the Authenticator port says. */
  async validate(token: CompleteToken): Promise<Person> {
    const claims = this.#current(claimsOf(token));
    const [session, user] = await Promise.all([this.sessions.alive(claims.sid), this.users.byId(claims.sub)]);
    if (session === undefined || user === undefined) throw new DomainError('invalid_session');
    requireCurrent(claims, session, user);
    return {
      kind: 'person',
      ownerId: user._id,
      actor: user._id,
      scopes: scopesOf(user.role),
      username: user.username,
      sessionId: session._id,
      authTime: session.auth_time,
      requireStillAdmitted: () => this.#requireSession(session._id, user._id),
    };
  }

  /** The token itself may have run out, or been replaced, since it was shown. */
  async #requireSession(sessionId: string, userId: string): Promise<void> {
    const [session, user] = await Promise.all([this.sessions.alive(sessionId), this.users.byId(userId)]);
    if (session?.user_id !== userId) throw new DomainError('invalid_session');
    if (user?.state === 'disabled') throw new DomainError('account_disabled');
    if (user?.state !== 'active') throw new DomainError('invalid_session');
  }

  #current(claims: AccessClaims): AccessClaims {
    const now = Math.floor(this.clock.now() / SECOND);
    if (claims.iat > now + MAX_SKEW_SECONDS) throw new DomainError('unauthenticated');
    if (claims.exp <= now) throw new DomainError('token_expired');
    return claims;
  }
}

function verification(config: Config): StrategyOptionsWithoutRequest {
  return {
    jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
    // A KeyObject is verified with in 9 us, a string in 455. The typing lags behind the library.
    secretOrKey: hmacKeyObject(config.tokens.jwtSecret) as unknown as Buffer,
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: AUDIENCE,
    // Checked in #current instead, by the clock that everything else goes by.
    ignoreExpiration: true,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way to the header, which says what kind of token it is
    jsonWebTokenOptions: { complete: true },
  };
}

/** @throws DomainError `unauthenticated` for a token that we signed for something else. */
function claimsOf({ header, payload }: CompleteToken): AccessClaims {
  const claims = payload as AccessClaims;
  const whole =
    header.typ === TOKEN_TYPE &&
    typeof claims.sub === 'string' &&
    typeof claims.sid === 'string' &&
    [claims.gen, claims.iat, claims.exp].every((value) => Number.isSafeInteger(value));
  if (!whole) throw new DomainError('unauthenticated');
  return claims;
}

/** @throws DomainError `invalid_session`, `account_disabled` */
function requireCurrent(claims: AccessClaims, session: SessionDoc, user: UserDoc): void {
  const held = session.user_id === user._id && claims.gen >= session.floor && claims.gen <= session.generation;
  if (!held || user.state === 'pending' || user.state === 'erasing') throw new DomainError('invalid_session');
  if (user.state === 'disabled') throw new DomainError('account_disabled');
}
