import { equalBytes, hmacSha256 } from '../crypto';
import { SystemSecrets } from '../kernel';
import { CollectionDefinition, Doc } from './definition';
import { FlatRow, isKind, RowShape } from './row-shape';
import { unknownFields, type UnknownFields, type UnknownValue } from './unknown-fields';

/**
 * Part of the MAC input, so that a MAC of another kind under the same key never passes as a row
 * MAC.
 * The form of a MAC is in its text and in its label, so the text of one form with the bytes of
 * another never verifies.
 */
const LABEL = 'coffer-row-2';
const MARK = '2:';
/** The form up to schema 1: bare hex. Always readable, never written. */
const FORMER_LABEL = 'coffer-row-1';
export const SEAL = 'seal';

/** A flat row with its MAC. */
export interface AuthenticatedRow extends Doc {
  readonly seal: string;
  readonly [field: string]: string | number | boolean;
}

/**
 * Computes and verifies row MACs: `2:` and the lowercase hex of HMAC-SHA256 under the integrity key
 * over the UTF-8 of the JSON array `["coffer-row-2", collection, _id, rev, field, value, ...]`.
 * The array holds every stored field except the MAC, including fields unknown to this release,
 * sorted by name (by code unit), with `json` fields as text and times in milliseconds. JSON quotes
 * strings, so no value can pass for its neighbour.
 *
 * A row of the former form has the same text under its own label. Its writer authenticated every
 * stored field, so an additional field is foreign, and the MAC does not verify.
 */
export class RowMac<T extends Doc> {
  readonly #names: readonly string[];

  constructor(
    private readonly shape: RowShape<T>,
    private readonly secrets: SystemSecrets,
  ) {
    this.#names = shape.fields.map(([name]) => name);
    if (this.#names.includes(SEAL)) throw new TypeError(`${shape.definition.name}: the name ${SEAL} is taken`);
  }

  seal(row: FlatRow): AuthenticatedRow {
    return { ...row, [SEAL]: MARK + this.#mac(LABEL, row).toString('hex') };
  }

  /**
   * True if Coffer wrote exactly this row: this id in this collection, at this revision, with these
   * fields.
   */
  holds(row: AuthenticatedRow): boolean {
    if (!this.#isWellTyped(row)) return false;
    const isFormer = !row.seal.startsWith(MARK);
    const seal = Buffer.from(isFormer ? row.seal : row.seal.slice(MARK.length), 'hex');
    return equalBytes(seal, this.#mac(isFormer ? FORMER_LABEL : LABEL, row));
  }

  /**
   * Checked separately, because a Date of BSON, for example, has the same JSON as the string that
   * it replaced.
   */
  #isWellTyped(row: AuthenticatedRow): boolean {
    if (typeof row._id !== 'string' || typeof row.seal !== 'string' || !Number.isSafeInteger(row.rev)) return false;
    for (const [name, kind] of this.shape.fields) {
      const value: unknown = row[name];
      if (value !== undefined && !isKind(kind, value)) return false;
    }
    return Object.values(unknownFields(row) ?? {}).every(isStorable);
  }

  #mac(label: string, row: Readonly<Record<string, unknown>>): Buffer {
    const parts: unknown[] = [label, this.shape.definition.name, row['_id'], row['rev']];
    const unknown = unknownFields(row);
    for (const name of unknown === undefined ? this.#names : this.#allNames(unknown)) {
      const value = unknown !== undefined && Object.hasOwn(unknown, name) ? canonical(unknown[name]) : row[name];
      if (value !== undefined) parts.push(name, value);
    }
    return hmacSha256(this.secrets.integrity, JSON.stringify(parts));
  }

  #allNames(unknown: UnknownFields): string[] {
    return [...this.#names, ...Object.keys(unknown)].sort((a, b) => (a < b ? -1 : 1));
  }
}

/**
 * True for values that a release can have stored. Others (null, a list, a Long, bytes) are foreign
 * and have no canonical text.
 */
function isStorable(value: unknown): boolean {
  if (value instanceof Date) return Number.isFinite(value.getTime());
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

/** The form used by the release that knows the field. */
const canonical = (value: UnknownValue | undefined): unknown => (value instanceof Date ? value.getTime() : value);

/**
 * The engine's definition of an authenticated collection: flat fields and the MAC, the same name
 * and indexes.
 */
export function authenticatedDefinition<T extends Doc>(shape: RowShape<T>): CollectionDefinition<AuthenticatedRow> {
  const flat = shape.fields.map(([name, kind]) => [name, kind === 'json' ? 'string' : kind] as const);
  const fields = { ...Object.fromEntries(flat), [SEAL]: 'string' };
  // The names are the same, only the types are wider: each field of T is a field of the flat row.
  return { ...shape.definition, fields } as unknown as CollectionDefinition<AuthenticatedRow>;
}
