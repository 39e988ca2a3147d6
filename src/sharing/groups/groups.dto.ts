import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches } from 'class-validator';

/** No control characters, no space at either end, and nothing that could be taken for an id. */
const NAME = /^(?![0-9a-f]{8}-[0-9a-f-]{27}$)(?!\s)[^\p{Cc}\p{Cs}]{1,100}(?<!\s)$/u;

export class NewGroupDto {
  /**
   * The group's name: 1 to 100 characters, unique among the caller's groups. Kept sealed.
   * @example "Accounting"
   */
  @IsString()
  @Matches(NAME, { message: 'name must have 1 to 100 characters, no control characters, and not look like an id' })
  name!: string;
}

export class GroupDto {
  /**
   * Opaque id of the group.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * Its name.
   * @example "Accounting"
   */
  name!: string;

  /**
   * When it was made.
   * @example "2026-11-22T12:00:00.000Z"
   */
  created_at!: string;
}

export class GroupMemberDto {
  /**
   * The member's user name.
   * @example "maria"
   */
  username!: string;

  /**
   * Since when.
   * @example "2026-11-22T12:00:00.000Z"
   */
  added_at!: string;
}

export class GroupWithMembersDto extends GroupDto {
  /** All members, longest in it first; at most 1,000. */
  members!: GroupMemberDto[];
}

export class GroupPageDto {
  /** Oldest first. */
  items!: GroupDto[];

  /** Where to go on; null at the end. */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}

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

  /**
   * Where to go on; null at the end. A page may hold fewer items than `limit`, even none, and still
   * have one.
   */
  @ApiProperty({ type: String, nullable: true, example: null })
  next_cursor!: string | null;
}
