import { UserDoc } from '../../users';

/** `two_factor_enabled` follows from the factors and is never set by itself. */
export const withTwoFactor = (user: UserDoc): UserDoc => ({
  ...user,
  two_factor_enabled: user.totp_secret !== undefined || user.email_factor,
});

export function withoutPending(user: UserDoc): UserDoc {
  const { totp_pending: _secret, totp_pending_at: _at, ...rest } = user;
  return rest;
}

/** `totp_last_step` stays: a step that was used is used for a later secret as well. */
export function withoutTotp(user: UserDoc): UserDoc {
  const { totp_secret: _secret, ...rest } = withoutPending(user);
  return rest;
}
