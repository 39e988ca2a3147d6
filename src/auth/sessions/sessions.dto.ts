import { IsString } from 'class-validator';
import { MaxLength } from '../../http';

/**
 * Longer than any token of Coffer, so that a foreign token fails as a token and not as invalid
 * input.
 */
const MAX_TOKEN = 4_096;

export class RefreshDto {
  /**
   * The latest refresh token of the session.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.1.5pXx0r3rM0m3o7fQb3m1bTn0y7m8h3y3r0c2d1e0f9A"
   */
  @IsString()
  @MaxLength(MAX_TOKEN)
  refresh_token!: string;
}

export class SessionDto {
  /**
   * Opaque id of the session.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * True for the session of this request.
   * @example true
   */
  current!: boolean;

  /**
   * Start of the session, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  created_at!: string;

  /**
   * Time of the last refresh or replacement of its tokens.
   * @example "2026-11-22T14:30:00.000Z"
   */
  last_used_at!: string;

  /**
   * Expiry of the session unless it is refreshed before.
   * @example "2026-11-29T14:30:00.000Z"
   */
  expires_at!: string;

  /**
   * The client's address at the login; null if unknown.
   * @example "192.0.2.7"
   */
  address!: string | null;

  /**
   * The client's User-Agent at the login, its first 256 characters; null if unknown.
   * @example "curl/8.5.0"
   */
  device!: string | null;
}

export class SessionListDto {
  /** Sessions, oldest first. */
  items!: SessionDto[];

  /** Cursor of the next page; null on the last page. */
  next_cursor!: string | null;
}
