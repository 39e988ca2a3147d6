import { UserDoc } from '../../users';

const DOTLESS = new Set(['gmail.com', 'googlemail.com']);

/**
 * What mails are counted by: the address in lower case without what stands behind a `+`, since that reaches the same mailbox at most
 * providers, and without dots at the providers that pass over them. Mail goes to the address as it was sent.
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
 * Whether this account has proved that it reads its address. An address that another account verified first is proved by the e-mail
 * factor, which a code to it has turned on.
 */
export const provedAddress = (user: UserDoc): boolean => user.verified_email !== undefined || user.email_factor;
