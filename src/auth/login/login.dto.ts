import { IsString } from 'class-validator';
import { MaxLength, MayBeAbsent } from '../../http';
import { FactorMethod } from '../factors/methods';

/** Length limit of the longest login name, an e-mail address. */
const MAX_NAME = 254;
/** Longer passwords are never correct; the limit only bounds the input of the hash. */
const MAX_PASSWORD = 1_024;
const MAX_OTP = 64;
/**
 * Longer than any token of Coffer, so that a foreign token fails as a token and not as invalid
 * input.
 */
const MAX_TOKEN = 4_096;

export class LoginDto {
  /**
   * User name, or an e-mail address that the account has verified.
   * @example "testuser"
   */
  @IsString()
  @MaxLength(MAX_NAME)
  username!: string;

  /**
   * The password, exactly as registered.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  password!: string;
}

/** The response to a correct password if a second factor is enabled. */
export class FactorRequestDto {
  /**
   * Always this text.
   * @example "2FA required"
   */
  message!: '2FA required';

  /**
   * The user name for /send-otp and /verify-otp.
   * @example "testuser"
   */
  username!: string;

  /**
   * Valid for ten minutes, and only for /send-otp and /verify-otp of this login.
   * @example "mfa.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.5pXx0r3rM0m3o7fQb3m1bTn0y7m8h3y3r0c2d1e0f9A"
   */
  mfa_token!: string;

  /**
   * The account's methods, of `totp`, `email` and `recovery_code`.
   * @example ["totp", "recovery_code"]
   */
  methods!: FactorMethod[];

  /**
   * True if a code was mailed now, because e-mail is the only factor.
   * @example false
   */
  otp_sent!: boolean;
}

export class SendOtpDto {
  /**
   * User name of the code's account.
   * @example "testuser"
   */
  @IsString()
  @MaxLength(MAX_NAME)
  username!: string;

  /** The token from /login. Without it, a bearer token of that user is required. */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_TOKEN)
  mfa_token?: string;
}

export class VerifyOtpDto {
  /**
   * User name of the code's account.
   * @example "testuser"
   */
  @IsString()
  @MaxLength(MAX_NAME)
  username!: string;

  /**
   * With `mfa_token`, a code by e-mail or of an authenticator app, or a recovery code; with a
   * bearer token, the code by e-mail.
   * @example "123456"
   */
  @IsString()
  @MaxLength(MAX_OTP)
  otp!: string;

  /**
   * The token from /login. Without it, a bearer token of that user is required.
   * @example "mfa.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.5pXx0r3rM0m3o7fQb3m1bTn0y7m8h3y3r0c2d1e0f9A"
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_TOKEN)
  mfa_token?: string;
}

export class StepUpDto {
  /**
   * The password.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  password!: string;

  /**
   * Required if a second factor is enabled: a code by e-mail (POST /send-otp with this session's
   * token) or of an authenticator app, or a recovery code.
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_OTP)
  otp?: string;
}
