/** The tokens of a session. */
export class TokensDto {
  /**
   * For `Authorization: Bearer`. Checked against the session at each request.
   * @example "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIwMTlhYjJmMCJ9.c2lnbmF0dXJl"
   */
  access_token!: string;

  /**
   * Authentication scheme of the access token.
   * @example "bearer"
   */
  token_type!: 'bearer';

  /**
   * Seconds until the access token expires.
   * @example 3600
   */
  expires_in!: number;

  /**
   * Valid for one POST /token/refresh. Each refresh returns a new one; a late reuse of a former one
   * ends the session.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.1.5pXx0r3rM0m3o7fQb3m1bTn0y7m8h3y3r0c2d1e0f9A"
   */
  refresh_token!: string;
}

/** A message about the completed action. */
export class MessageDto {
  /**
   * The completed action.
   * @example "OTP sent to your email"
   */
  message!: string;
}
