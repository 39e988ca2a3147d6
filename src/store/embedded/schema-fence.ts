import { DomainError } from '../../kernel';
import { admits, InstalledSchema, SCHEMA } from '../schema';
import { Rows } from './environment';
import { encodeKey } from './key-encoding';

/** The installation document's row (src/installation). */
const DOCUMENT = encodeKey(Buffer.alloc(0), ['row', 'installation', 'installation']);

/**
 * Rejects writes of a process that the installation no longer admits, because the document has
 * changed since the start.
 * The check runs inside each write transaction, so no such write follows the one that raised the
 * number, however long the process slept.
 */
export class SchemaFence {
  #bytes: Buffer | undefined;
  #found: InstalledSchema = {};

  constructor(private readonly schema = SCHEMA) {}

  /** @throws DomainError `store_unavailable` */
  check(rows: Rows): void {
    if (admits(this.#read(rows), this.schema)) return;
    throw new DomainError('store_unavailable', {
      detail: 'The installation was upgraded. This release may no longer write to it.',
    });
  }

  /**
   * True if all processes that may serve have this release: no older one may, and no newer one has
   * ever served.
   */
  isAlone(rows: Rows): boolean {
    const { schema, lowest_schema } = this.#read(rows);
    return schema === this.schema && lowest_schema === this.schema;
  }

  #read(rows: Rows): InstalledSchema {
    const bytes = rows.getBinary(DOCUMENT);
    if (bytes === undefined) return {};
    if (this.#bytes?.equals(bytes) === true) return this.#found;
    this.#bytes = Buffer.from(bytes);
    return (this.#found = JSON.parse(bytes.toString()) as InstalledSchema);
  }
}
