import { Config } from '../../config';
import { UserDoc } from '../../users';

/** Values of `methods` in a login's response, strongest first. */
export type FactorMethod = 'totp' | 'email' | 'recovery_code';

export interface EnrolledFactors {
  readonly totp: boolean;
  /** Enabled by the user, or required by REQUIRE_2FA=email for accounts without another factor. */
  readonly email: boolean;
}

export function factorsOf(user: UserDoc, { accounts }: Config): EnrolledFactors {
  const totp = user.totp_secret !== undefined;
  return { totp, email: user.email_factor || (accounts.require2fa === 'email' && !totp) };
}

export const anyOf = ({ totp, email }: EnrolledFactors): boolean => totp || email;

export function methodsOf(factors: EnrolledFactors, recoveryCodesLeft: number): FactorMethod[] {
  if (!anyOf(factors)) return [];
  return [
    ...(factors.totp ? (['totp'] as const) : []),
    ...(factors.email ? (['email'] as const) : []),
    ...(recoveryCodesLeft > 0 ? (['recovery_code'] as const) : []),
  ];
}
