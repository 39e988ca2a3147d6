import { IsString } from 'class-validator';
import { MaxLength, MayBeAbsent } from '../../http';

export class RegisterDto {
  /**
   * 3 to 64 characters of a-z, 0-9, `.`, `_` and `-`, starting with a letter or a digit. Upper case
   * is converted to lower case.
   * @example "testuser"
   */
  @IsString()
  username!: string;

  /**
   * Address for codes and notices.
   * @example "test@example.com"
   */
  @IsString()
  email!: string;

  /**
   * At least 8 characters with an uppercase letter, a digit and a special character, at most 1,024
   * bytes, and not a common password. Used exactly as sent. With PASSWORD_RULE=length instead: at
   * least 15 characters of any kind.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  password!: string;

  /** The mailed code of an invitation. It proves the address, so the account is created at once. */
  @MayBeAbsent()
  @IsString()
  @MaxLength(128)
  invitation?: string;
}

export class RegisteredDto {
  /**
   * `User registered successfully`, or `registration_pending` if the address must be confirmed
   * first.
   * @example "User registered successfully"
   */
  message!: string;
}

export class VerifyRegistrationDto {
  /**
   * The user name of the registration. Without it, the newest registration with the address is
   * used, which may belong to somebody else.
   * @example "testuser"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(64)
  username?: string;

  /**
   * The address of the registration.
   * @example "test@example.com"
   */
  @IsString()
  email!: string;

  /**
   * The code from the mail.
   * @example "123456"
   */
  @IsString()
  @MaxLength(64)
  otp!: string;
}

export class VerifiedDto {
  /**
   * Confirms that the account exists now.
   * @example "registration_success"
   */
  message!: 'registration_success';
}
