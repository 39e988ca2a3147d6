import { IsString } from 'class-validator';
import { MaxLength } from '../../http';

/** Longer than any token of ours, so that one of another kind is refused as a token and not as input. */
const MAX_TOKEN = 4_096;

export class RefreshDto {
  /**
   * The newest refresh token of the session.
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
   * Whether it is the one that asks.
   * @example true
   */
  current!: boolean;

  /**
   * When it was opened, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  created_at!: string;

  /**
   * When its tokens were last refreshed or replaced.
   * @example "2026-11-22T14:30:00.000Z"
   */
  refreshed_at!: string;

  /**
   * When it ends unless it is refreshed before.
   * @example "2026-11-29T14:30:00.000Z"
   */
  expires_at!: string;

  /**
   * The client's address at the login; null where it is not known.
   * @example "192.0.2.7"
   */
  address!: string | null;

  /**
   * The client's User-Agent at the login, its first 256 characters; null where it is not known.
   * @example "curl/8.5.0"
   */
  user_agent!: string | null;
}

export class SessionListDto {
  /** Oldest first. */
  items!: SessionDto[];

  /** What to send as `cursor` for the next page; null at the end. */
  next_cursor!: string | null;
}
