import { Clock, ErrorCode } from '../kernel';
import { Collection } from '../store';
import { Job, JobChange, LeaseLost, RunningJob, endedAt, jobOf } from './job';
import { JobData, JobDoc, JobProgress } from './jobs.collection';

export interface LeaseTimings {
  /** How long a lease lasts without being renewed: 15 s at most. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How often this process looks for jobs that nobody runs. */
  readonly pollMs: number;
}

export const LEASE_TIMINGS: LeaseTimings = { leaseMs: 12_000, renewMs: 4_000, pollMs: 2_000 };

type Change = Partial<Omit<JobDoc, '_id' | 'rev' | 'active_kind'>>;

/** The lease of one job in this process. Every write goes through the row's revision and checks owner and fence. */
export class HeldJob implements RunningJob {
  readonly signal: AbortSignal;
  readonly resumed: boolean;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(job: Job) => void>();
  readonly #renewal: NodeJS.Timeout;
  readonly #owner: string;
  readonly #fence: number;
  #doc: JobDoc;
  #writes: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly rows: Collection<JobDoc>,
    private readonly clock: Clock,
    private readonly timings: LeaseTimings,
    doc: JobDoc,
    private readonly keptMs: number | undefined,
  ) {
    this.#doc = doc;
    this.#owner = doc.lease_owner;
    this.#fence = doc.fence;
    this.resumed = doc.fence > 1;
    this.signal = this.#abort.signal;
    this.#renewal = setInterval(() => void this.#renew(), timings.renewMs).unref();
  }

  get id(): string {
    return this.#doc._id;
  }

  get data(): JobData {
    return this.#doc.data;
  }

  get progress(): JobProgress {
    return this.#doc.progress;
  }

  get job(): Job {
    return jobOf(this.#doc);
  }

  async save(change: JobChange): Promise<void> {
    const data = { ...this.#doc.data, ...change.data };
    await this.#put((doc) => ({ ...doc, data, progress: change.progress ?? doc.progress, ...this.#lease() }));
  }

  async hold(): Promise<void> {
    this.#check();
    const doc = await this.rows.find('_id', this.id);
    if (!this.#isOurs(doc)) throw this.#lost();
    this.#check();
  }

  async finish(state: 'done' | 'failed', fault?: ErrorCode): Promise<void> {
    const end: Change = { state, lease_owner: '', lease_until: 0, ...endedAt(this.clock.now(), this.keptMs) };
    await this.#put(({ active_kind: _place, ...doc }) => ({
      ...doc,
      ...end,
      ...(fault === undefined ? {} : { fault }),
    }));
    this.letGo();
  }

  /** Gives the lease back, so that another process takes the job over at once. */
  async release(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#writes;
    if (this.#doc.state === 'running') await this.rows.replace({ ...this.#doc, lease_owner: '', lease_until: 0 });
  }

  /** Stops all further writes of the handler. */
  letGo(): void {
    clearInterval(this.#renewal);
    this.#abort.abort();
    for (const listener of [...this.#listeners]) listener(this.job);
  }

  /** Calls back after each stored change and when the job is let go. Returns how to stop that. */
  onChange(listener: (job: Job) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #put(change: (doc: JobDoc) => JobDoc): Promise<void> {
    const write = this.#writes.then(() => this.#replace(change));
    this.#writes = write.catch(() => undefined);
    return write;
  }

  async #replace(change: (doc: JobDoc) => JobDoc): Promise<void> {
    for (;;) {
      this.#check();
      const stored = await this.rows.replace(change(this.#doc));
      if (stored !== undefined) {
        this.#doc = stored;
        break;
      }
      // An earlier write may have been stored although it was reported as failed: then the row is still ours, at a newer revision.
      const current = await this.rows.find('_id', this.id);
      if (!this.#isOurs(current)) throw this.#lost();
      this.#doc = current;
    }
    for (const listener of [...this.#listeners]) listener(this.job);
  }

  #lease() {
    return { lease_until: this.clock.now() + this.timings.leaseMs };
  }

  #isOurs(doc: JobDoc | undefined): doc is JobDoc {
    return doc?.state === 'running' && doc.lease_owner === this.#owner && doc.fence === this.#fence;
  }

  #check(): void {
    if (this.signal.aborted) throw new LeaseLost(this.id);
    if (this.clock.now() >= this.#doc.lease_until) throw this.#lost();
  }

  #lost(): LeaseLost {
    this.letGo();
    return new LeaseLost(this.id);
  }

  async #renew(): Promise<void> {
    try {
      await this.#put((doc) => ({ ...doc, ...this.#lease() }));
    } catch {
      // A lease that is lost has said so by its signal; a store that is down is asked again at the next turn, until the lease runs out.
    }
  }
}
