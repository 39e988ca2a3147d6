import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { CONFIG, Config } from '../../config';
import { SECOND } from '../../kernel';
import { SessionDoc } from './session.collection';

export const ISSUER = 'coffer';
export const AUDIENCE = 'coffer:api';
export const ALGORITHM = 'HS256';
/** RFC 9068: a token of another kind is never taken for an access token. */
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
  /** Seconds until it expires. */
  readonly expiresIn: number;
}

/** Signs access tokens. One session generation has one token: asking again within the replay window gives the same. */
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
    // Of the time that has passed, only whole seconds count: a login says what it always says.
    return { token, expiresIn: ttlSeconds - inSeconds(now - session.rotated_at) };
  }
}

const inSeconds = (ms: number): number => Math.floor(ms / SECOND);
