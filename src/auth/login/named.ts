import { parseEmail, parseUsername, UserDoc } from '../../users';

/**
 * True if a request's `username` names this account, by user name or by verified address as in
 * /login.
 */
export const isNamed = (user: UserDoc, text: string): boolean =>
  parseUsername(text) === user.username ||
  (user.verified_email !== undefined && parseEmail(text)?.folded === user.verified_email);
