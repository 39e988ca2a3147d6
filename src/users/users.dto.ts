export class AccountDto {
  /**
   * Opaque id of the account.
   * @example "019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f"
   */
  id!: string;

  /**
   * The user name, in lower case.
   * @example "testuser"
   */
  username!: string;

  /**
   * The e-mail address of the registration.
   * @example "test@example.com"
   */
  email!: string;

  /**
   * Whether its owner has proved that the address is theirs. Only such an address can be used to log in.
   * @example true
   */
  email_verified!: boolean;

  /**
   * What the account may do.
   * @example "user"
   */
  role!: 'user' | 'administrator';

  /**
   * Whether a second factor is on.
   * @example false
   */
  two_factor_enabled!: boolean;

  /**
   * When the account was made, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  created_at!: string;
}
