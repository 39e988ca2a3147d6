import { DomainError } from '../kernel';

/**
 * Largest value, in bytes of UTF-8. A ciphertext is stored as hex in its row, so the limit is well
 * below the maximum document size.
 */
export const MAX_VALUE_BYTES = 256 * 1024;
export const DATA_TYPE_PATTERN = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/** Case-insensitive, so that `Card_Number` does not bypass the rule. */
const CARD_NUMBER = /^card_number$/i;
const SIXTEEN_DIGITS = /^[0-9]{16}$/;
/** A lone surrogate has no UTF-8 form; it would be returned as another character. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Validated client input: a value that can be stored and returned byte for byte. */
export interface RecordInput {
  readonly dataType: string;
  readonly value: string;
}

export interface RecordView {
  readonly id: string;
  readonly data_type: string;
  readonly value: string;
}

/** `masked` shows enough to recognise a record and not enough to use it. */
export type View = 'clear' | 'masked';

/** @throws DomainError `invalid_value`, with the rule and never the value */
export function parseRecord(dataType: string, value: string): RecordInput {
  const fault = faultOf(dataType, value);
  if (fault !== undefined) {
    throw new DomainError('invalid_value', { detail: fault, fields: [{ pointer: '/value', message: fault }] });
  }
  return { dataType, value };
}

function faultOf(dataType: string, value: string): string | undefined {
  if (value.length === 0) return 'The value must not be empty.';
  if (Buffer.byteLength(value, 'utf8') > MAX_VALUE_BYTES) return `The value must not exceed ${MAX_VALUE_BYTES} bytes.`;
  if (LONE_SURROGATE.test(value)) return 'The value must be well-formed Unicode.';
  if (CARD_NUMBER.test(dataType) && !SIXTEEN_DIGITS.test(value)) return 'A card_number must be exactly 16 digits.';
  return undefined;
}

/** True if the masked view shows a part of the value and therefore needs the decrypted value. */
export const showsPart = (dataType: string): boolean => CARD_NUMBER.test(dataType);

export const HIDDEN = '****';

/**
 * `************1234` for a card number, `****` for all other types; does not reveal the length of
 * the value.
 */
export function masked(dataType: string, value: string): string {
  // Earlier releases accepted any value under another spelling of the type; no part of such a value
  // may be shown.
  return showsPart(dataType) && SIXTEEN_DIGITS.test(value) ? '*'.repeat(12) + value.slice(-4) : HIDDEN;
}
