import { KeyPart } from '../collection';
import { Doc } from '../definition';
import { PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { encodeKey } from './key-encoding';

const NOTHING = Buffer.alloc(0);
/** An index of our own, in time order, for the sweeper; names in definitions cannot start with an underscore. */
const EXPIRY = '_expiry';

/** An index that this release's definition names. Where its entries lie is in the index table. */
export interface DeclaredIndex extends ResolvedIndex {
  /** Changes where the entries of the index would be others. */
  readonly signature: string;
}

/** Where a collection's rows and index entries lie: `row/<name>/<id>` and `index/<name>/<slot>/<key fields>[/<id>]` -> id. */
export class Layout<T extends Doc> {
  readonly rows: Buffer;
  /** The table of the collection's indexes (index-table.ts). */
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

/** The part of a key behind the prefix of its index. */
export const keyBehindPrefix = (parts: readonly KeyPart[]): Buffer => encodeKey(NOTHING, parts);

/** The entry of a stored row in an index whose entries lie under `prefix`, or undefined where it has none. */
export function entryOf(
  { fields, unique }: Pick<ResolvedIndex, 'fields' | 'unique'>,
  prefix: Buffer,
  row: Readonly<Record<string, unknown>>,
): Buffer | undefined {
  const values = fields.map((field) => row[field]);
  if (!values.every(isKeyPart)) return undefined;
  return encodeKey(prefix, unique ? values : [...values, row[PRIMARY] as string]);
}

/** Also of a field that this release does not know, whose kind it cannot ask for. */
const isKeyPart = (value: unknown): value is KeyPart =>
  typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));

function declared(index: ResolvedIndex): DeclaredIndex {
  return { ...index, signature: `${index.unique ? 'unique' : 'many'}:${index.fields.join(',')}` };
}
