import { KeyPart } from './collection';

/**
 * Fields of a stored row that a newer release wrote. The document carries them under a symbol,
 * which a spread copies and JSON omits. A change of the document by this release thus keeps them
 * and includes them in the MAC.
 */
export const UNKNOWN = Symbol('coffer:unknown-fields');

/** A Date only in MongoDB, for a field of kind `time` of a newer release. */
export type UnknownValue = string | number | boolean | Date;
export type UnknownFields = Readonly<Record<string, UnknownValue>>;

interface Carrier {
  readonly [UNKNOWN]?: UnknownFields;
}

export const unknownFields = (row: object): UnknownFields | undefined => (row as Carrier)[UNKNOWN];

/** The unknown fields of a stored row, unchanged: the MAC rejects values that no release writes. */
export function splitUnknown(
  stored: Readonly<Record<string, unknown>>,
  isKnown: (name: string) => boolean,
): UnknownFields | undefined {
  let found: [string, unknown][] | undefined;
  for (const name of Object.keys(stored)) if (!isKnown(name)) (found ??= []).push([name, stored[name]]);
  // Not by assignment, because a field may have the name __proto__.
  return found && (Object.fromEntries(found) as UnknownFields);
}

/** Adds these fields to `doc` under the symbol; returns the same object. */
export function carry<T extends object>(doc: T, fields: UnknownFields | undefined): T {
  return fields === undefined ? doc : Object.assign(doc, { [UNKNOWN]: fields });
}

/** The row in its stored form, including the unknown fields. */
export function expanded(row: Readonly<Record<string, KeyPart>>): Record<string, UnknownValue> {
  const { [UNKNOWN]: unknown, ...fields } = row as Record<string, KeyPart> & Carrier;
  return unknown === undefined ? fields : { ...unknown, ...fields };
}
