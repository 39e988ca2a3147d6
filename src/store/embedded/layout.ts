import { KeyPart } from '../collection';
import { Doc } from '../definition';
import { FlatRow, PRIMARY, ResolvedIndex, RowShape } from '../row-shape';
import { encodeKey } from './key-encoding';

const NOTHING = Buffer.alloc(0);
/** An index of our own, in time order, for the sweeper; names in definitions cannot start with an underscore. */
const EXPIRY = '_expiry';

export interface IndexLayout extends ResolvedIndex {
  readonly prefix: Buffer;
  /** Changes where the entries of the index would be others. */
  readonly signature: string;
}

/** Where a collection's rows and index entries lie: `row/<name>/<id>` and `index/<name>/<index>/<key fields>[/<id>]` -> id. */
export class Layout<T extends Doc> {
  readonly rows: Buffer;
  /** Which indexes have been built, by name. */
  readonly meta: Buffer;
  readonly indexes: readonly IndexLayout[];
  readonly expiry: IndexLayout | undefined;

  constructor(readonly shape: RowShape<T>) {
    const { name, expiry } = shape.definition;
    this.rows = encodeKey(NOTHING, ['row', name]);
    this.meta = encodeKey(NOTHING, ['indexes', name]);
    const declared = shape.indexes.map((index) => this.#place(index));
    this.expiry = expiry && this.#place({ name: EXPIRY, fields: [expiry], unique: false });
    this.indexes = this.expiry === undefined ? declared : [...declared, this.expiry];
  }

  row(id: string): Buffer {
    return encodeKey(this.rows, [id]);
  }

  /** The range in which the entries of `index` lie, or the rows themselves. */
  prefix(index: ResolvedIndex, parts: readonly KeyPart[]): Buffer {
    return encodeKey(this.base(index.name), parts);
  }

  base(index: string): Buffer {
    return index === PRIMARY ? this.rows : encodeKey(NOTHING, ['index', this.shape.definition.name, index]);
  }

  /** The entry of a row in an index, or undefined where it has none. */
  entry(index: IndexLayout, row: FlatRow): Buffer | undefined {
    const values = this.shape.indexed(index, row);
    return values && encodeKey(index.prefix, index.unique ? values : [...values, row._id]);
  }

  #place(index: ResolvedIndex): IndexLayout {
    const signature = `${index.unique ? 'unique' : 'many'}:${index.fields.join(',')}`;
    return { ...index, prefix: this.base(index.name), signature };
  }
}
