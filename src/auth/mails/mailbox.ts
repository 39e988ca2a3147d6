import { UserDoc } from '../../users';

const DOTLESS = new Set(['gmail.com', 'googlemail.com']);

/**
 * The key of mail counts: the address in lower case without the part after `+`, which reaches the
 * same mailbox at most providers, and without dots for providers that ignore them. Mail is sent to
 * the original address.
 */
export function mailboxOf(address: string): string {
  const folded = address.toLowerCase();
  const at = folded.lastIndexOf('@');
  const [name = ''] = folded.slice(0, at).split('+');
  const domain = folded.slice(at + 1);
  if (name === '') return folded;
  return DOTLESS.has(domain) ? `${name.replaceAll('.', '')}@gmail.com` : `${name}@${domain}`;
}

/**
 * True if the account has proved that it controls its address. If another account verified the
 * address first, the e-mail factor is the proof, because a mailed code enabled it.
 */
export const provedAddress = (user: UserDoc): boolean => user.verified_email !== undefined || user.email_factor;
