import { ApiProperty } from '@nestjs/swagger';

export class MembershipDto {
  /**
   * Opaque id of the group.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  group_id!: string;

  /** The name that its owner gave it; null where the stored name does not open. */
  @ApiProperty({ type: String, nullable: true, example: 'Accounting' })
  name!: string | null;

  /**
   * User name of its owner.
   * @example "maria"
   */
  owner!: string;

  /**
   * Since when the caller is in it.
   * @example "2026-11-22T12:00:00.000Z"
   */
  added_at!: string;
}

export class MembershipPageDto {
  /** Longest in it first. */
  items!: MembershipDto[];

  /** Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still have one. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}
