import { IsString } from 'class-validator';
import { MaxLength } from '../../http';
import { FactorMethod } from './methods';

export class TotpStateDto {
  /**
   * Whether an authenticator app is a factor of the account.
   * @example true
   */
  enabled!: boolean;

  /**
   * Whether a new secret waits for its first code.
   * @example false
   */
  pending!: boolean;
}

export class EmailStateDto {
  /**
   * Whether the account's owner turned it on.
   * @example false
   */
  enabled!: boolean;

  /**
   * Whether this installation asks for it although its owner did not turn it on (REQUIRE_2FA=email).
   * @example false
   */
  required!: boolean;
}

export class FactorsDto {
  /**
   * Whether any second factor is on.
   * @example true
   */
  two_factor_enabled!: boolean;

  /**
   * What a login accepts as its second step.
   * @example ["totp", "recovery_code"]
   */
  methods!: FactorMethod[];

  /** Codes of an authenticator app. */
  totp!: TotpStateDto;

  /** Codes by e-mail. */
  email!: EmailStateDto;

  /**
   * How many recovery codes have not been used.
   * @example 10
   */
  recovery_codes_left!: number;
}

export class TotpEnrolmentDto {
  /**
   * The secret in base32, for typing in. Shown once.
   * @example "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
   */
  secret!: string;

  /**
   * The same as authenticator apps read it.
   * @example "otpauth://totp/Coffer:testuser%40vault.example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Coffer"
   */
  otpauth_uri!: string;

  /**
   * The same as a QR code, an SVG document.
   * @example "<svg viewBox='0 0 53 53'></svg>"
   */
  qr_svg!: string;
}

export class ConfirmTotpDto {
  /**
   * The code that the app shows.
   * @example "123456"
   */
  @IsString()
  @MaxLength(64)
  otp!: string;
}

export class RecoveryCodesDto {
  /**
   * Ten codes, each good for one login or step-up. Shown once; the former ones are void.
   * @example ["7XQ2-0M4K-9RTV-C3WB-8HNZ-5DJF"]
   */
  codes!: string[];
}
