import { equalBytes, hmacSha256 } from '../crypto';
import { SystemSecrets } from '../kernel';
import { CollectionDefinition, Doc } from './definition';
import { FlatRow, isKind, RowShape } from './row-shape';

/** Part of what is sealed, so that a MAC of another kind under the same key is never taken for a row's. */
const LABEL = 'coffer-row-1';
export const SEAL = 'seal';

/** A flat row with its seal: lowercase hex of HMAC-SHA256. */
export interface SealedRow extends Doc {
  readonly seal: string;
  readonly [field: string]: string | number | boolean;
}

/**
 * The seal of a row (DESIGN section 2): HMAC-SHA256 under the integrity key over the UTF-8 of the JSON array
 * `["coffer-row-1", collection, _id, rev, field, value, ...]`, fields in the order of their names (by code unit), those that the row
 * lacks left out, `json` fields as their text, `time` in milliseconds. JSON quotes strings, so no value can pass for its neighbour.
 */
export class RowSeal<T extends Doc> {
  readonly #names: readonly string[];

  constructor(
    private readonly shape: RowShape<T>,
    private readonly secrets: SystemSecrets,
  ) {
    this.#names = shape.fields.map(([name]) => name);
    if (this.#names.includes(SEAL)) throw new TypeError(`${shape.definition.name}: the name ${SEAL} is taken`);
  }

  seal(row: FlatRow): SealedRow {
    return { ...row, seal: this.#mac(row).toString('hex') };
  }

  /** True where we wrote exactly this row: this id in this collection, at this revision, with these fields. */
  holds(row: SealedRow): boolean {
    if (!this.#isWellTyped(row)) return false;
    const seal = Buffer.from(row.seal, 'hex');
    return equalBytes(seal, this.#mac(row));
  }

  /** Checked by itself: a Date of BSON, say, has the same JSON as the string that it replaced. */
  #isWellTyped(row: SealedRow): boolean {
    if (typeof row._id !== 'string' || typeof row.seal !== 'string' || !Number.isSafeInteger(row.rev)) return false;
    for (const [name, kind] of this.shape.fields) {
      const value: unknown = row[name];
      if (value !== undefined && !isKind(kind, value)) return false;
    }
    return true;
  }

  #mac(row: Readonly<Record<string, unknown>>): Buffer {
    const parts: unknown[] = [LABEL, this.shape.definition.name, row['_id'], row['rev']];
    for (const name of this.#names) {
      const value = row[name];
      if (value !== undefined) parts.push(name, value);
    }
    return hmacSha256(this.secrets.integrity, JSON.stringify(parts));
  }
}

/** How the engine under the seals sees a sealed collection: flat fields and the seal, the same name and indexes. */
export function sealedDefinition<T extends Doc>(shape: RowShape<T>): CollectionDefinition<SealedRow> {
  const flat = shape.fields.map(([name, kind]) => [name, kind === 'json' ? 'string' : kind] as const);
  const fields = { ...Object.fromEntries(flat), [SEAL]: 'string' };
  // The names stay, only their types are wider: each field of T is a field of the flat row.
  return { ...shape.definition, fields } as unknown as CollectionDefinition<SealedRow>;
}
