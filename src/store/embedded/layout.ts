import { KeyPart } from '../collection';
import { Doc } from '../definition';
import { PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { encodeKey } from './key-encoding';

const NOTHING = Buffer.alloc(0);
/** Internal index by time for the sweeper; names in definitions cannot start with an underscore. */
const EXPIRY = '_expiry';

/** An index of this release's definition. The index table holds the location of its entries. */
export interface DeclaredIndex extends ResolvedIndex {
  /** Changes whenever the entries of the index would change. */
  readonly signature: string;
}

/** Keys of a collection: `row/<name>/<id>` and `index/<name>/<slot>/<key fields>[/<id>]` -> id. */
export class Layout<T extends Doc> {
  readonly rows: Buffer;
  /** Key of the collection's index table (index-table.ts). */
  readonly table: Buffer;
  readonly declared: readonly DeclaredIndex[];
  readonly expiry: DeclaredIndex | undefined;
  readonly #name: string;

  constructor(shape: RowShape<T>) {
    const { name, expiry } = shape.definition;
    this.#name = name;
    this.rows = encodeKey(NOTHING, ['row', name]);
    this.table = encodeKey(NOTHING, ['indexes', name]);
    this.expiry = expiry && declared({ name: EXPIRY, fields: [expiry], unique: false });
    this.declared = [...shape.indexes.map(declared), ...(this.expiry === undefined ? [] : [this.expiry])];
  }

  row(id: string): Buffer {
    return encodeKey(this.rows, [id]);
  }

  slot(slot: string): Buffer {
    return encodeKey(NOTHING, ['index', this.#name, slot]);
  }
}

/** The part of a key after the prefix of its index. */
export const keyBehindPrefix = (parts: readonly KeyPart[]): Buffer => encodeKey(NOTHING, parts);

/**
 * The entry of a stored row in the index with `prefix`; undefined if the row is not in the index.
 */
export function entryOf(
  { fields, unique }: Pick<ResolvedIndex, 'fields' | 'unique'>,
  prefix: Buffer,
  row: Readonly<Record<string, unknown>>,
): Buffer | undefined {
  const values = fields.map((field) => row[field]);
  if (!values.every(isKeyPart)) return undefined;
  return encodeKey(prefix, unique ? values : [...values, row[PRIMARY] as string]);
}

/** Also checks fields unknown to this release, whose kind is not defined. */
const isKeyPart = (value: unknown): value is KeyPart =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));

function declared(index: ResolvedIndex): DeclaredIndex {
  return { ...index, signature: `${index.unique ? 'unique' : 'many'}:${index.fields.join(',')}` };
}
