import { domainToASCII } from 'node:url';
import { isEmail } from 'class-validator';
import { DomainError, FieldFault } from '../kernel';

export interface EmailAddress {
  /**
   * The address for mail: as received, with the domain in ASCII (punycode for an international
   * domain).
   */
  readonly address: string;
  /** The lower-case form, which is compared and is unique among verified addresses. */
  readonly folded: string;
}

const MAX_CHARS = 254;
// Atoms only (RFC 5322, 3.2.3). The quoted form allows spaces, commas and angle brackets, which
// mail headers may misinterpret.
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;
const NON_ASCII = /[^\0-\x7f]/;
// Invisible characters, and those that URL parsers drop, are rejected in a domain.
const CONTROL = /[\0-\x20\x7f]|\p{Cc}|\p{Cf}|\p{Z}/u;

/**
 * Parses an address; undefined if Coffer cannot mail to it. Never accepts CR, LF or another control
 * character (ASVS 1.3.11).
 */
export function parseEmail(text: string): EmailAddress | undefined {
  const address = withAsciiDomain(text);
  if (address.length > MAX_CHARS || !PRINTABLE_ASCII.test(address)) return undefined;
  if (!LOCAL_PART.test(address.slice(0, address.lastIndexOf('@')))) return undefined;
  return isEmail(address) ? { address, folded: address.toLowerCase() } : undefined;
}

export const EMAIL_FAULT: FieldFault = { pointer: '/email', message: 'must be an e-mail address' };

/** The address in the body's `email`. @throws DomainError `validation_failed` */
export function requireEmail(text: string): EmailAddress {
  const email = parseEmail(text);
  if (email === undefined) throw new DomainError('validation_failed', { fields: [EMAIL_FAULT] });
  return email;
}

/**
 * Converts an international domain to punycode, because both are one address (RFC 5891). Returns an
 * invalid domain unchanged; the caller rejects it.
 */
function withAsciiDomain(text: string): string {
  const at = text.lastIndexOf('@') + 1;
  const domain = text.slice(at);
  if (text.length > MAX_CHARS || !NON_ASCII.test(domain) || CONTROL.test(domain)) return text;
  return text.slice(0, at) + (domainToASCII(domain) || domain);
}
