import { parseEmail, parseUsername, UserDoc } from '../../users';

/** Does a request's `username` name this account, in either way that /login takes? */
export const isNamed = (user: UserDoc, text: string): boolean =>
  parseUsername(text) === user.username ||
  (user.verified_email !== undefined && parseEmail(text)?.folded === user.verified_email);
