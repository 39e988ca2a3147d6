import { Collection, Doc, KeyPart, scanRows, Store } from '../store';
import { AuditBatchDoc, AuditWriterDoc, auditBatchesCollection, auditWritersCollection } from './audit.collection';
import { CHAIN_START, batchHash, writerHash } from './chain';

/**
 * `forged`: the MAC verification of the row failed. `changed`: the hash does not match the content.
 * `unlinked`: the row does not continue the previous one. `missing`: a number is absent.
 * `unregistered`: the registry does not know the writer of a batch.
 */
export type ChainFaultKind = 'forged' | 'changed' | 'unlinked' | 'missing' | 'unregistered';

export interface ChainFault {
  readonly kind: ChainFaultKind;
  /** Id of the row, or `<writer>:<number>` of a missing one. */
  readonly row: string;
}

export interface ChainReport {
  readonly writers: number;
  readonly batches: number;
  readonly entries: number;
  /**
   * Empty if no row inside a chain was removed, changed, moved or inserted. A truncated end of a
   * chain is not detected here.
   */
  readonly faults: readonly ChainFault[];
}

/**
 * Reads the whole log and reports all inconsistencies. Uses constant memory; safe while entries are
 * written.
 */
export async function verifyChain(store: Store): Promise<ChainReport> {
  const walk = new ChainWalk(store);
  await walk.run();
  return walk.report;
}

class ChainWalk {
  readonly #batches: Collection<AuditBatchDoc>;
  readonly #writers: Collection<AuditWriterDoc>;
  readonly #faults: ChainFault[] = [];
  #writerCount = 0;
  #batchCount = 0;
  #entryCount = 0;

  constructor(store: Store) {
    this.#batches = store.collection(auditBatchesCollection);
    this.#writers = store.collection(auditWritersCollection);
  }

  get report(): ChainReport {
    return { writers: this.#writerCount, batches: this.#batchCount, entries: this.#entryCount, faults: this.#faults };
  }

  async run(): Promise<void> {
    // Counted first: the walk, but not the count, includes batches that are written meanwhile.
    const stored = await this.#batches.count('writer', []);
    await this.#walkRegistry();
    const forged = this.#faults.filter((fault) => fault.kind === 'forged').length;
    if (this.#batchCount + forged < stored) await this.#findUnregistered();
  }

  async #walkRegistry(): Promise<void> {
    let number = 0;
    let hash: string | undefined = CHAIN_START;
    for await (const row of this.#rows(this.#writers, '_id', [])) {
      for (number += 1; number < row.number; number += 1) {
        this.#fault('missing', `writer:${number}`);
        hash = undefined;
      }
      this.#checkRow(row, row.hash === writerHash(row), hash);
      hash = row.hash;
      this.#writerCount += 1;
      await this.#walkBatches(row);
    }
  }

  async #walkBatches(writer: AuditWriterDoc): Promise<void> {
    let seq = 0;
    let hash: string | undefined = writer.hash;
    for await (const row of this.#rows(this.#batches, 'writer', [writer.writer])) {
      for (seq += 1; seq < row.seq; seq += 1) {
        this.#fault('missing', `${writer.writer}:${seq}`);
        hash = undefined;
      }
      this.#checkRow(row, row.hash === batchHash(row), hash);
      hash = row.hash;
      this.#batchCount += 1;
      this.#entryCount += row.count;
    }
  }

  async #findUnregistered(): Promise<void> {
    const reported = new Set<string>();
    for await (const row of this.#rows(this.#batches, 'writer', [])) {
      if (reported.has(row.writer) || (await this.#isRegistered(row.writer))) continue;
      reported.add(row.writer);
      this.#fault('unregistered', row._id);
    }
  }

  async #isRegistered(writer: string): Promise<boolean> {
    // A tampered row registers no writer.
    const { items } = await this.#writers.list('writer', [writer], { limit: 1, onTampered: () => undefined });
    return items.length > 0;
  }

  /** `before` is undefined after a gap, because there is no previous hash to compare. */
  #checkRow(row: { _id: string; prev_hash: string }, unchanged: boolean, before: string | undefined): void {
    if (!unchanged) this.#fault('changed', row._id);
    if (before !== undefined && row.prev_hash !== before) this.#fault('unlinked', row._id);
  }

  #fault(kind: ChainFaultKind, row: string): void {
    if (!this.#faults.some((fault) => fault.kind === kind && fault.row === row)) this.#faults.push({ kind, row });
  }

  #rows<T extends Doc>(rows: Collection<T>, index: string, prefix: KeyPart[]): AsyncGenerator<T> {
    return scanRows(rows, index, prefix, (id) => this.#fault('forged', id));
  }
}
