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
   * True if the owner has verified the address. Only a verified address can be used to log in.
   * @example true
   */
  email_verified!: boolean;

  /**
   * Role of the account.
   * @example "user"
   */
  role!: 'user' | 'administrator' | 'auditor';

  /**
   * True if a second factor is enabled.
   * @example false
   */
  two_factor_enabled!: boolean;

  /**
   * Time of the account's creation, ISO 8601 in UTC.
   * @example "2026-11-22T13:30:00.000Z"
   */
  created_at!: string;
}
