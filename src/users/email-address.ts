import { isEmail } from 'class-validator';

export interface EmailAddress {
  /** As it was sent: what mail goes to. */
  readonly address: string;
  /** In lower case: what is compared, and unique among verified addresses. */
  readonly folded: string;
}

const MAX_CHARS = 254;
// Atoms only (RFC 5322, 3.2.3). The quoted form allows spaces, commas and angle brackets, which mail headers read as something else.
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;
const PRINTABLE_ASCII = /^[\x21-\x7e]+$/;

/** Undefined where it is no address that we would mail to: never one with CR, LF or another control character (ASVS 1.3.11). */
export function parseEmail(text: string): EmailAddress | undefined {
  if (text.length > MAX_CHARS || !PRINTABLE_ASCII.test(text)) return undefined;
  if (!LOCAL_PART.test(text.slice(0, text.lastIndexOf('@')))) return undefined;
  return isEmail(text) ? { address: text, folded: text.toLowerCase() } : undefined;
}
