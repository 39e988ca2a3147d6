import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsString, Max, Min } from 'class-validator';
import { MayBeAbsent } from '../../http';
import { DAY, SECOND } from '../../kernel';
import { NewGrant } from './grants';

/** A hundred years, as for what is granted. */
const MAX_EXPIRY_SECONDS = (100 * 365 * DAY) / SECOND;

/** Exactly one of `username`, `email` and `group`. */
export class NewGrantDto {
  /**
   * To the account of this user name.
   */
  @MayBeAbsent()
  @IsString()
  username?: string;

  /**
   * To the account that has verified this address, or will be the first to.
   * @example "maria@example.org"
   */
  @MayBeAbsent()
  @IsString()
  email?: string;

  /**
   * To all members of this group of the caller's own, by its id or its name.
   */
  @MayBeAbsent()
  @IsString()
  group?: string;

  /**
   * Seconds until the grant ends; without it, it ends with what is granted or when it is revoked.
   * @example 86400
   */
  @MayBeAbsent()
  @IsInt()
  @Min(1)
  @Max(MAX_EXPIRY_SECONDS)
  expires_in?: number;
}

export const newGrant = ({ expires_in, ...choice }: NewGrantDto): NewGrant => ({
  ...choice,
  expiresInMs: expires_in === undefined ? undefined : expires_in * SECOND,
});

/** With the one of `username`, `email` and `group` that was asked for. */
export class GrantDto {
  /**
   * Opaque id of the grant.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * The account that it was given to by user name.
   * @example "maria"
   */
  username?: string;

  /** The address that it was given to, as it was sent. */
  email?: string;

  /** The name of the group that it was given to. */
  group?: string;

  /**
   * `pending` while no account has verified the address.
   * @example "active"
   */
  @ApiProperty({ enum: ['active', 'pending'] })
  state!: 'active' | 'pending';

  /**
   * When it was given.
   * @example "2026-11-22T12:00:00.000Z"
   */
  created_at!: string;

  /** When it ends by itself; null for never. */
  @ApiProperty({ type: String, nullable: true, example: null })
  expires_at!: string | null;
}

export class GrantPageDto {
  /** Oldest first. */
  items!: GrantDto[];

  /**
   * Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still
   * have one.
   */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}
