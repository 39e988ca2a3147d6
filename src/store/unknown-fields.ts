import { KeyPart } from './collection';

/**
 * Fields of a stored row that this release does not know: a newer one wrote them. They travel with the document under a symbol, which
 * a spread copies and JSON leaves out, so that a change of the document by this release keeps them and seals them again.
 */
export const UNKNOWN = Symbol('coffer:unknown-fields');

/** A Date in MongoDB alone, where a newer release has a field of kind `time`. */
export type UnknownValue = string | number | boolean | Date;
export type UnknownFields = Readonly<Record<string, UnknownValue>>;

interface Carrier {
  readonly [UNKNOWN]?: UnknownFields;
}

export const unknownFields = (row: object): UnknownFields | undefined => (row as Carrier)[UNKNOWN];

/** Those of a row as an engine stores it. Values are taken as they are: a seal refuses what no release ever writes. */
export function splitUnknown(
  stored: Readonly<Record<string, unknown>>,
  isKnown: (name: string) => boolean,
): UnknownFields | undefined {
  let found: [string, unknown][] | undefined;
  for (const name of Object.keys(stored)) if (!isKnown(name)) (found ??= []).push([name, stored[name]]);
  // Not by assignment: a field may have the name __proto__.
  return found && (Object.fromEntries(found) as UnknownFields);
}

/** `doc` with these fields under the symbol; the same object. */
export function carry<T extends object>(doc: T, fields: UnknownFields | undefined): T {
  return fields === undefined ? doc : Object.assign(doc, { [UNKNOWN]: fields });
}

/** The row with them among its fields, as an engine stores it. */
export function expanded(row: Readonly<Record<string, KeyPart>>): Record<string, UnknownValue> {
  const { [UNKNOWN]: unknown, ...fields } = row as Record<string, KeyPart> & Carrier;
  return unknown === undefined ? fields : { ...unknown, ...fields };
}
