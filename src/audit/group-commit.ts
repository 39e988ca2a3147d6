import { Clock, DomainError, isDomainError, SECOND, stretched } from '../kernel';
import { BatchContent, ChainWriter } from './chain-writer';
import { AuditEntry, outcomeOf } from './entry';

/** A waiting caller hears within this time; well under the 2 seconds after which a client thinks that we hang. */
const PATIENCE = 1.5 * SECOND;
const RETRY_AFTER = 1 * SECOND;
const MAX_BATCH = 500;
/** Entries kept while nothing can be written. Acts are refused meanwhile, so only outcomes and notes come on top of what waits. */
const MAX_KEPT = 10_000;

/** Entries that go to the store in one row. */
class Batch implements BatchContent {
  readonly entries: string[] = [];
  /** Those whose caller waits. */
  readonly awaited: AuditEntry[] = [];
  readonly durable: Promise<void>;
  firstAt = 0;
  lastAt = 0;
  settle!: (error?: DomainError) => void;

  constructor() {
    this.durable = new Promise((resolve, reject) => {
      this.settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Where nobody waits, nobody has to handle it.
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
 * Group commit: what comes while one batch is written goes into the next, which starts as soon as that has ended. So the cost of a
 * durable write is shared by all who wait at the time.
 */
export class GroupCommit {
  /** Batches whose content is fixed, oldest first: a write whose outcome is unknown is repeated as it was. */
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
    /** Makes the entry that says how many were dropped. */
    private readonly lossEntry: (count: number) => AuditEntry,
    /** Hears how long each write took, for the figures. */
    private readonly onWrite?: (seconds: number, outcome: 'done' | 'failed') => void,
  ) {}

  /** True from a write that failed until one has succeeded. */
  get failing(): boolean {
    return this.#failing;
  }

  /**
   * Resolves when the entry is durable.
   * @throws DomainError `store_unavailable` where the store does not answer, else `audit_unavailable`; the entry and its refusal are then
   * written as soon as that is possible.
   */
  durable(entry: AuditEntry): Promise<void> {
    if (this.#kept >= MAX_KEPT) return Promise.reject(unavailable());
    this.#open.awaited.push(entry);
    return this.#add(entry).durable;
  }

  /** Queues an entry that nobody waits for. */
  queue(entry: AuditEntry): void {
    if (this.#kept >= MAX_KEPT) this.#dropped += 1;
    else this.#add(entry);
  }

  /** Writes what is queued. Resolves when all is durable or a write has failed. */
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
    // Not at once: entries of the same turn of the event loop share the first batch too.
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
      // In the same turn as the last look at the queue: what is added after it starts a flush of its own.
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

  /** Fails closed: everybody who waits is refused, and each entry is kept with its refusal. */
  #refuseAll(refusal: DomainError): void {
    // Whatever the client hears, the entry says that the act was never begun.
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

/** The log lies in the store: while that does not answer it is the store that a client waits for. */
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
