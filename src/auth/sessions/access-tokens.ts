import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { CONFIG, Config } from '../../config';
import { SECOND } from '../../kernel';
import { SessionDoc } from './session.collection';

export const ISSUER = 'coffer';
export const AUDIENCE = 'coffer:api';
export const ALGORITHM = 'HS256';
/** RFC 9068: a token of another kind never passes as an access token. */
export const TOKEN_TYPE = 'at+jwt';

/** Claims of an access token (docs/formats.md). Times are seconds. */
export interface AccessClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly sid: string;
  readonly gen: number;
  readonly auth_time: number;
  readonly amr: readonly string[];
  readonly iat: number;
  readonly exp: number;
}

export interface SignedToken {
  readonly token: string;
  /** Seconds until the token expires. */
  readonly expiresIn: number;
}

/**
 * Signs access tokens. One session generation has one token: a repeated call within the replay
 * window returns the same token.
 */
@Injectable()
export class AccessTokens {
  constructor(
    private readonly jwt: JwtService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async sign(session: SessionDoc, now: number): Promise<SignedToken> {
    const iat = inSeconds(session.rotated_at);
    const { ttlSeconds } = this.config.tokens;
    const claims: AccessClaims = {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: session.user_id,
      sid: session._id,
      gen: session.generation,
      auth_time: inSeconds(session.auth_time),
      amr: session.amr,
      iat,
      exp: iat + ttlSeconds,
    };
    const token = await this.jwt.signAsync(claims, {
      algorithm: ALGORITHM,
      header: { alg: ALGORITHM, typ: TOKEN_TYPE },
    });
    // Only whole seconds of elapsed time count, so that a login always returns the configured
    // lifetime.
    return { token, expiresIn: ttlSeconds - inSeconds(now - session.rotated_at) };
  }
}

const inSeconds = (ms: number): number => Math.floor(ms / SECOND);
