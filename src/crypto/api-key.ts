import { crc32 } from 'node:zlib';
import { randomSecret } from './random';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_CHARS = 16;
const SECRET_CHARS = 32;
const CHECKSUM_CHARS = 6;
/** Bytes above this would make the first characters of the alphabet more likely than the others. */
const LARGEST_FAIR_BYTE = 256 - (256 % ALPHABET.length);

const FORM = /^cfk_([0-9A-Za-z]{16})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})$/;

/** An API key in its parts. */
export interface ApiKeyText {
  readonly id: string;
  readonly secret: string;
}

/** A new key: 95 bits of id, 190 bits of secret. */
export function newApiKey(): ApiKeyText & { readonly text: string } {
  const [id, secret] = [base62(ID_CHARS), base62(SECRET_CHARS)];
  return { id, secret, text: apiKeyText({ id, secret }) };
}

/**
 * `cfk_<id>_<secret><checksum>`. The prefix and the checksum let scanners find keys that leaked,
 * without asking us.
 */
export function apiKeyText({ id, secret }: ApiKeyText): string {
  const checked = `cfk_${id}_${secret}`;
  return `${checked}${checksum(checked)}`;
}

/** Whether this is meant as an API key, be it malformed: no other token begins so. */
export const looksLikeApiKey = (text: string): boolean => text.startsWith('cfk_');

/** Undefined for what no installation gave out. */
export function parseApiKey(text: string): ApiKeyText | undefined {
  const [, id, secret, sum] = FORM.exec(text) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  return checksum(`cfk_${id}_${secret}`) === sum ? { id, secret } : undefined;
}

/** CRC-32 (as in zip) in base 62, the highest digit first. */
function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let at = 0; at < CHECKSUM_CHARS; at += 1) {
    digits = `${ALPHABET[rest % ALPHABET.length] ?? ''}${digits}`;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}

function base62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomSecret(length)) {
      if (byte < LARGEST_FAIR_BYTE && text.length < length) text += ALPHABET[byte % ALPHABET.length] ?? '';
    }
  }
  return text;
}
