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

/** Maximum lead of another replica's clock. */
const MAX_SKEW_SECONDS = 60;

interface CompleteToken {
  readonly header: { readonly typ?: unknown };
  readonly payload: unknown;
}

/**
 * Verifies a bearer token: Coffer's signature with one fixed algorithm (`none`, `jku` and `jwk` are
 * ignored), issuer, audience, type and time. Then it requires a live session, a valid generation
 * and an enabled account.
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

  /** @throws DomainError as declared by Authenticator */
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

  /**
   * Does not check the token itself, which may have expired or been replaced since the request
   * began.
   */
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
    // Verification takes 9 us with a KeyObject and 455 us with a string. The library's types lack
    // the KeyObject.
    secretOrKey: hmacKeyObject(config.tokens.jwtSecret) as unknown as Buffer,
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: AUDIENCE,
    // Checked in #current, with the same clock as everything else.
    ignoreExpiration: true,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way to the header, which says what kind of token it is
    jsonWebTokenOptions: { complete: true },
  };
}

/** @throws DomainError `unauthenticated` for a token that Coffer signed for another purpose */
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
