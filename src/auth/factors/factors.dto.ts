import { IsString } from 'class-validator';
import { MaxLength } from '../../http';
import { FactorMethod } from './methods';

export class TotpStateDto {
  /**
   * True if an authenticator app is a factor of the account.
   * @example true
   */
  enabled!: boolean;

  /**
   * True if a new secret waits for its first code.
   * @example false
   */
  pending!: boolean;
}

export class EmailStateDto {
  /**
   * True if the account's owner enabled it.
   * @example false
   */
  enabled!: boolean;

  /**
   * True if this installation requires it although its owner did not enable it (REQUIRE_2FA=email).
   * @example false
   */
  required!: boolean;
}

export class FactorsDto {
  /**
   * True if any second factor is enabled.
   * @example true
   */
  two_factor_enabled!: boolean;

  /**
   * Methods that a login accepts as its second step.
   * @example ["totp", "recovery_code"]
   */
  methods!: FactorMethod[];

  /** Codes of an authenticator app. */
  totp!: TotpStateDto;

  /** Codes by e-mail. */
  email!: EmailStateDto;

  /**
   * Number of unused recovery codes.
   * @example 10
   */
  recovery_codes_left!: number;
}

export class TotpEnrolmentDto {
  /**
   * The secret in base32, for manual entry. Shown once.
   * @example "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
   */
  secret!: string;

  /**
   * The secret as a URI for authenticator apps.
   * @example "otpauth://totp/Coffer:testuser%40vault.example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Coffer"
   */
  otpauth_uri!: string;

  /**
   * The URI as a QR code, an SVG document.
   * @example "<svg viewBox='0 0 53 53'></svg>"
   */
  qr_svg!: string;
}

export class ConfirmTotpDto {
  /**
   * The current code of the app.
   * @example "123456"
   */
  @IsString()
  @MaxLength(64)
  otp!: string;
}

export class RecoveryCodesDto {
  /**
   * Ten codes, each valid for one login or step-up. Shown once; all former codes are invalid.
   * @example ["7XQ2-0M4K-9RTV-C3WB-8HNZ-5DJF"]
   */
  codes!: string[];
}
