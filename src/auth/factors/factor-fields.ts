import { UserDoc } from '../../users';

/** `two_factor_enabled` is derived from the factors and never set directly. */
export const withTwoFactor = (user: UserDoc): UserDoc => ({
  ...user,
  two_factor_enabled: user.totp_secret !== undefined || user.email_factor,
});

export function withoutPending(user: UserDoc): UserDoc {
  const { totp_pending: _secret, totp_pending_at: _at, ...rest } = user;
  return rest;
}

/** `totp_last_step` stays, so that a used step is also used for a later secret. */
export function withoutTotp(user: UserDoc): UserDoc {
  const { totp_secret: _secret, ...rest } = withoutPending(user);
  return rest;
}
