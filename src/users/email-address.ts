import { domainToASCII } from 'node:url';
import { isEmail } from 'class-validator';

export interface EmailAddress {
  /** What mail goes to: as it was sent, with the domain in ASCII (an international one in its punycode form). */
  readonly address: string;
  /** In lower case: what is compared, and unique among verified addresses. */
  readonly folded: string;
}

const MAX_CHARS = 254;
// Atoms only (RFC 5322, 3.2.3). The quoted form allows spaces, commas and angle brackets, which mail headers read as something else.
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;
const NON_ASCII = /[^\0-\x7f]/;
// What a reader does not see, or that URL parsers drop, makes no domain.
const CONTROL = /[\0-\x20\x7f]|\p{Cc}|\p{Cf}|\p{Z}/u;

/** Undefined where it is no address that we would mail to: never one with CR, LF or another control character (ASVS 1.3.11). */
export function parseEmail(text: string): EmailAddress | undefined {
  const address = withAsciiDomain(text);
  if (address.length > MAX_CHARS || !PRINTABLE_ASCII.test(address)) return undefined;
  if (!LOCAL_PART.test(address.slice(0, address.lastIndexOf('@')))) return undefined;
  return isEmail(address) ? { address, folded: address.toLowerCase() } : undefined;
}

/** An international domain and its punycode are one address (RFC 5891). What is no domain stays as it is, and is refused. */
function withAsciiDomain(text: string): string {
  const at = text.lastIndexOf('@') + 1;
  const domain = text.slice(at);
  if (text.length > MAX_CHARS || !NON_ASCII.test(domain) || CONTROL.test(domain)) return text;
  return text.slice(0, at) + (domainToASCII(domain) || domain);
}
