import { IsInt, IsString, Max, Min } from 'class-validator';
import { MaxLength, MayBeAbsent, PageQueryDto } from '../../http';

const MAX_LIFE_SECONDS = 30 * 86_400;
export const DEFAULT_LIFE_SECONDS = 7 * 86_400;

export class NewInvitationDto {
  /**
   * The address to invite. The invitation is mailed to it and is valid only for an account with
   * this address.
   * @example "newcomer@example.org"
   */
  @IsString()
  @MaxLength(254)
  email!: string;

  /**
   * Seconds until the invitation expires, from a minute to 30 days; default 7 days.
   * @example 604800
   */
  @MayBeAbsent()
  @IsInt()
  @Min(60)
  @Max(MAX_LIFE_SECONDS)
  expires_in?: number;
}

export class InvitationDto {
  /**
   * Opaque id of the invitation.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * The invited address.
   * @example "test@example.com"
   */
  email!: string;

  /**
   * Expiry of the invitation, ISO 8601 in UTC.
   * @example "2026-11-29T09:30:00.000Z"
   */
  expires_at!: string;
}

export class InvitationListDto {
  /** Open invitations, newest first. */
  items!: InvitationDto[];

  /** Cursor of the next page; null on the last page. */
  next_cursor!: string | null;
}

export class InvitationListQueryDto extends PageQueryDto {}
