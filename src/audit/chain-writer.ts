import { Clock, isDomainError, newId } from '../kernel';
import { Collection, Draft, DuplicateKey, Store } from '../store';
import { AuditBatchDoc, AuditWriterDoc, auditBatchesCollection, auditWritersCollection } from './audit.collection';
import { CHAIN_START, batchHash, batchRowId, writerHash, writerRowId } from './chain';

export interface BatchContent {
  /** JSON text of each entry. */
  readonly entries: readonly string[];
  readonly firstAt: number;
  readonly lastAt: number;
}

/** The end of this process's chain. */
interface Head {
  readonly writer: string;
  readonly seq: number;
  readonly hash: string;
}

const REGISTER_ATTEMPTS = 50;

/**
 * Writes the chain of this process under a new writer id, registered at the first batch.
 * A batch whose `append` failed or timed out is appended again before any other, because it may be
 * stored. Its row is fixed at the first attempt: overlapping appends of one batch write the same
 * row, and the second finds it stored.
 */
export class ChainWriter {
  readonly #batches: Collection<AuditBatchDoc>;
  readonly #writers: Collection<AuditWriterDoc>;
  readonly #drafts = new WeakMap<BatchContent, Draft<AuditBatchDoc>>();
  #id = newId();
  #head: Head | undefined;

  constructor(
    store: Store,
    private readonly clock: Clock,
  ) {
    this.#batches = store.collection(auditBatchesCollection);
    this.#writers = store.collection(auditWritersCollection);
  }

  /** Resolves when the batch is durable. After a failure, a call with the same content is safe. */
  async append(content: BatchContent): Promise<void> {
    const draft = await this.#draftOf(content);
    try {
      await this.#batches.insert(draft);
    } catch (error) {
      if (!(error instanceof DuplicateKey)) throw error;
      await this.#confirm(draft, content);
    }
    // A write that timed out may end after its repetition; it must not move the head back.
    const { writer, seq, hash } = draft;
    if (this.#head?.writer === writer && this.#head.seq < seq) this.#head = { writer, seq, hash };
  }

  async #draftOf(content: BatchContent): Promise<Draft<AuditBatchDoc>> {
    const head = await this.#registered();
    // A concurrent append of the same batch may have created the draft while this one waited for
    // the registry.
    const draft = this.#drafts.get(content) ?? nextBatch(head, content);
    this.#drafts.set(content, draft);
    return draft;
  }

  /**
   * Checks whether a write that was reported as failed is stored after all. If another row is
   * there, this chain ends and a new one begins.
   */
  async #confirm(draft: Draft<AuditBatchDoc>, content: BatchContent): Promise<void> {
    const stored = await this.#batches.find('_id', draft._id).catch((error: unknown) => {
      if (isDomainError(error, 'integrity_failed')) return undefined;
      throw error;
    });
    if (stored?.hash === draft.hash) return;
    this.#drafts.delete(content);
    if (this.#head?.writer === draft.writer) this.#startAnew();
    throw new Error('the place of the next audit batch is taken');
  }

  #startAnew(): void {
    this.#id = newId();
    this.#head = undefined;
  }

  async #registered(): Promise<Head> {
    if (this.#head !== undefined) return this.#head;
    const head = await this.#register();
    return (this.#head ??= head);
  }

  async #register(): Promise<Head> {
    for (let attempt = 1; ; attempt += 1) {
      const mine = await this.#writers.find('writer', this.#id);
      if (mine !== undefined) return { writer: this.#id, seq: 0, hash: mine.hash };
      const last = (await this.#writers.list('_id', [], { limit: 1, reverse: true })).items[0];
      try {
        await this.#writers.insert(this.#registration(last));
      } catch (error) {
        // Another process took the number.
        if (!(error instanceof DuplicateKey) || attempt === REGISTER_ATTEMPTS) throw error;
      }
    }
  }

  #registration(last: AuditWriterDoc | undefined): Draft<AuditWriterDoc> {
    const number = (last?.number ?? 0) + 1;
    const prev_hash = last?.hash ?? CHAIN_START;
    const row = { _id: writerRowId(number), number, writer: this.#id, started_at: this.clock.now(), prev_hash };
    return { ...row, hash: writerHash(row) };
  }
}

function nextBatch(head: Head, content: BatchContent): Draft<AuditBatchDoc> {
  const seq = head.seq + 1;
  const row = {
    _id: batchRowId(head.writer, seq),
    writer: head.writer,
    seq,
    first_at: content.firstAt,
    last_at: content.lastAt,
    count: content.entries.length,
    entries: `[${content.entries.join(',')}]`,
    prev_hash: head.hash,
  };
  return { ...row, hash: batchHash(row) };
}
