import { Clock, DomainError, isDomainError, SECOND, stretched } from '../kernel';
import { BatchContent, ChainWriter } from './chain-writer';
import { AuditEntry, outcomeOf } from './entry';

/** Timeout of a waiting caller; well under the 2 seconds after which a client assumes a hang. */
const PATIENCE = 1.5 * SECOND;
const RETRY_AFTER = 1 * SECOND;
const MAX_BATCH = 500;
/**
 * Limit of entries held while the log cannot be written. Actions are rejected meanwhile, so only
 * outcomes and notes are added.
 */
const MAX_KEPT = 10_000;

/** Entries that are written in one row. */
class Batch implements BatchContent {
  readonly entries: string[] = [];
  /** Entries with a waiting caller. */
  readonly awaited: AuditEntry[] = [];
  readonly durable: Promise<void>;
  firstAt = 0;
  lastAt = 0;
  settle!: (error?: DomainError) => void;

  constructor() {
    this.durable = new Promise((resolve, reject) => {
      this.settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Without a waiting caller, no other code handles the rejection.
    this.durable.catch(() => undefined);
  }

  add(entry: AuditEntry): void {
    if (this.entries.length === 0) this.firstAt = this.lastAt = entry.at;
    this.firstAt = Math.min(this.firstAt, entry.at);
    this.lastAt = Math.max(this.lastAt, entry.at);
    this.entries.push(JSON.stringify(entry));
  }
}

/**
 * Group commit: entries that arrive during a write form the next batch, which starts when that
 * write ends. All waiting callers share the cost of one durable write.
 */
export class GroupCommit {
  /** Batches with fixed content, oldest first: a write of unknown outcome is repeated unchanged. */
  readonly #fixed: Batch[] = [];
  #open = new Batch();
  #kept = 0;
  #dropped = 0;
  #failing = false;
  #busy = false;
  #flushed: Promise<void> = Promise.resolve();
  #soon: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly writer: ChainWriter,
    private readonly clock: Clock,
    /** Creates the entry that reports the number of dropped entries. */
    private readonly lossEntry: (count: number) => AuditEntry,
    /** Receives the duration of each write, for the metrics. */
    private readonly onWrite?: (seconds: number, outcome: 'done' | 'failed') => void,
  ) {}

  /** True from a failed write until the next successful one. */
  get failing(): boolean {
    return this.#failing;
  }

  /**
   * Resolves when the entry is durable.
   * @throws DomainError `store_unavailable` if the store does not respond, else
   * `audit_unavailable`; the entry and its rejection are then written as soon as possible
   */
  durable(entry: AuditEntry): Promise<void> {
    if (this.#kept >= MAX_KEPT) return Promise.reject(unavailable());
    this.#open.awaited.push(entry);
    return this.#add(entry).durable;
  }

  /** Queues an entry without a waiting caller. */
  queue(entry: AuditEntry): void {
    if (this.#kept >= MAX_KEPT) this.#dropped += 1;
    else this.#add(entry);
  }

  /** Writes the queued entries. Resolves when all are durable or a write has failed. */
  flush(): Promise<void> {
    clearTimeout(this.#retry);
    if (!this.#busy) this.#flushed = this.#writeAll();
    return this.#flushed;
  }

  #add(entry: AuditEntry): Batch {
    const batch = this.#open;
    batch.add(entry);
    this.#kept += 1;
    if (batch.entries.length >= MAX_BATCH) this.#fix();
    // Deferred, so that entries of the same turn of the event loop share the first batch.
    if (!this.#busy) this.#soon ??= setImmediate(() => this.#start());
    return batch;
  }

  #start(): void {
    this.#soon = undefined;
    void this.flush();
  }

  #fix(): void {
    if (this.#open.entries.length === 0) return;
    this.#fixed.push(this.#open);
    this.#open = new Batch();
  }

  async #writeAll(): Promise<void> {
    this.#busy = true;
    try {
      let batch = this.#next();
      while (batch !== undefined && (await this.#write(batch))) batch = this.#next();
    } finally {
      // Reset in the same turn as the last check of the queue: an entry added later starts a new
      // flush.
      this.#busy = false;
    }
  }

  #next(): Batch | undefined {
    if (this.#fixed.length === 0) this.#fix();
    return this.#fixed[0];
  }

  async #write(batch: Batch): Promise<boolean> {
    const begun = performance.now();
    const report = (outcome: 'done' | 'failed'): void => this.onWrite?.((performance.now() - begun) / SECOND, outcome);
    try {
      await withinPatience(this.writer.append(batch));
      report('done');
    } catch (error) {
      report('failed');
      this.#refuseAll(refusalFor(error));
      return false;
    }
    this.#fixed.shift();
    this.#kept -= batch.entries.length;
    this.#failing = false;
    batch.settle();
    this.#reportLoss();
    return true;
  }

  /** Fails closed: rejects all waiting callers and keeps each entry together with its rejection. */
  #refuseAll(refusal: DomainError): void {
    // Whatever error the client gets, the entry records that the action never began.
    this.#failing = true;
    this.#fix();
    for (const batch of this.#fixed) {
      batch.settle(refusal);
      for (const entry of batch.awaited.splice(0)) {
        this.queue(outcomeOf(entry, this.clock.now(), 'refused', { code: 'audit_unavailable' }));
      }
    }
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.flush(), RETRY_AFTER).unref();
  }

  #reportLoss(): void {
    if (this.#dropped === 0) return;
    const entry = this.lossEntry(this.#dropped);
    this.#dropped = 0;
    this.#add(entry);
  }
}

const unavailable = (): DomainError =>
  new DomainError('audit_unavailable', { detail: 'The audit log cannot be written.', retryAfterSeconds: 1 });

/** The log is in the store: if the store does not respond, the client gets the store's error. */
const refusalFor = (error: unknown): DomainError =>
  isDomainError(error, 'store_unavailable') ? storeUnavailable() : unavailable();

const storeUnavailable = (): DomainError => new DomainError('store_unavailable', { retryAfterSeconds: 1 });

async function withinPatience(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(storeUnavailable()), stretched(PATIENCE));
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
