import { IsString } from 'class-validator';
import { MaxLength, MayBeAbsent } from '../../http';
import { FactorMethod } from '../factors/methods';

/** The longest of what a login may be named by: an e-mail address. */
const MAX_NAME = 254;
/** A thousand bytes of password and more are never right; this only keeps what is hashed small. */
const MAX_PASSWORD = 1_024;
const MAX_OTP = 64;
/** Longer than any token of ours, so that one of another kind is refused as a token and not as input. */
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
   * The password, exactly as it was registered.
   * @example "StrongP@ssw0rd1!"
   */
  @IsString()
  @MaxLength(MAX_PASSWORD)
  password!: string;
}

/** The password was right, and a second factor is on. */
export class FactorRequestDto {
  /**
   * Always this text.
   * @example "2FA required"
   */
  message!: '2FA required';

  /**
   * The user name, as /send-otp and /verify-otp want it.
   * @example "testuser"
   */
  username!: string;

  /**
   * Good for ten minutes, for /send-otp and /verify-otp of this login, and for nothing else.
   * @example "mfa.019ab2f0-7c11-7e55-b0f5-6f0a3c1d2e4f.5pXx0r3rM0m3o7fQb3m1bTn0y7m8h3y3r0c2d1e0f9A"
   */
  mfa_token!: string;

  /**
   * What the account has enrolled, of `totp`, `email` and `recovery_code`.
   * @example ["totp", "recovery_code"]
   */
  methods!: FactorMethod[];

  /**
   * Whether a code was mailed just now: where e-mail is the only factor.
   * @example false
   */
  otp_sent!: boolean;
}

export class SendOtpDto {
  /**
   * Whose code it is.
   * @example "testuser"
   */
  @IsString()
  @MaxLength(MAX_NAME)
  username!: string;

  /**
   * What /login gave. Without it, a bearer token of that user is wanted.
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_TOKEN)
  mfa_token?: string;
}

export class VerifyOtpDto {
  /**
   * Whose code it is.
   * @example "testuser"
   */
  @IsString()
  @MaxLength(MAX_NAME)
  username!: string;

  /**
   * With `mfa_token` a code by e-mail, of an authenticator app, or a recovery code; with a bearer token the code by e-mail.
   * @example "123456"
   */
  @IsString()
  @MaxLength(MAX_OTP)
  otp!: string;

  /**
   * What /login gave. Without it, a bearer token of that user is wanted.
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
   * Where a second factor is on: a code by e-mail (POST /send-otp with this session's token), of an authenticator app, or a recovery code.
   */
  @MayBeAbsent()
  @IsString()
  @MaxLength(MAX_OTP)
  otp?: string;
}
