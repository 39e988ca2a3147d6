import { IsString } from 'class-validator';
import { MaxLength, MayBeAbsent } from '../../http';

/** More than 1,024 bytes are never right; this only keeps what is hashed small. */
const MAX_PASSWORD = 1_024;
const MAX_CODE = 128;
const MAX_EMAIL = 254;

export class ChangePasswordDto {
  /**
   * The password until now.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  current_password!: string;

  /**
   * The password from now on, by the rule of POST /register.
   * @example "Another-Strong-1-Phrase"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  new_password!: string;
}

export class ForgotPasswordDto {
  /**
   * The address of the account, which its owner has confirmed.
   * @example "test@example.com"
   */
  @IsString()
  @MaxLength(MAX_EMAIL)
  email!: string;
}

export class ResetPasswordDto {
  /**
   * The address that the code was asked for.
   * @example "test@example.com"
   */
  @IsString()
  @MaxLength(MAX_EMAIL)
  email!: string;

  /**
   * The mailed code, or the one that an operator handed out.
   * @example "7QK2-9XWD-3MFA-T0BN-8HRC-5VYE"
   */
  @IsString()
  @MaxLength(MAX_CODE)
  code!: string;

  /**
   * The password from now on, by the rule of POST /register.
   * @example "Another-Strong-1-Phrase"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  new_password!: string;

  /**
   * Where a second factor is on: a code of an authenticator app or a recovery code. A code by
   * e-mail is none here, since the mailbox is proved by `code` already.
   * @example "123456"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_CODE)
  otp?: string;
}
