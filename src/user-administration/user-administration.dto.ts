import { IsIn, IsString } from 'class-validator';
import { MaxLength, MayBeAbsent, PageQueryDto } from '../http';
import { AccountDto } from '../users';

const ROLES = ['user', 'administrator', 'auditor'] as const;
const STATES = ['active', 'disabled'] as const;

export class UserListQueryDto extends PageQueryDto {
  /**
   * A part of the user name or of the e-mail address, in any case. No pattern.
   * @example "test"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(254)
  search?: string;

  /**
   * Only accounts with this role.
   * @example "user"
   */
  @MayBeAbsent()
  @IsIn(ROLES)
  role?: 'user' | 'administrator' | 'auditor';

  /**
   * Only accounts in this state.
   * @example "active"
   */
  @MayBeAbsent()
  @IsIn(STATES)
  state?: 'active' | 'disabled';
}

export class ListedUserDto extends AccountDto {
  /**
   * Whether the account can log in.
   * @example "active"
   */
  state!: 'active' | 'disabled';
}

export class UserListDto {
  /** By user name. A page may hold fewer than asked for, and still have a next one. */
  items!: ListedUserDto[];

  /** For the next page; null at the end. */
  next_cursor!: string | null;
}

export class RoleDto {
  /**
   * What the account may do: `administrator` manages accounts and keys, `auditor` reads the audit
   * log and nothing else of others.
   * @example "auditor"
   */
  @IsIn(ROLES)
  role!: 'user' | 'administrator' | 'auditor';
}
