import { BeforeApplicationShutdown, Injectable, Logger, OnApplicationBootstrap, Optional } from '@nestjs/common';
import { Clock, DomainError, ErrorCode, ErrorCollector, SECOND, isDomainError, newId } from '../kernel';
import { Metrics } from '../observability';
import { Collection, DuplicateKey, ListOptions, Position, Store, scanRows, update } from '../store';
import { HeldJob } from './held-job';
import { HeldLease, LeaseLost } from './held-lease';
import { Job, JobBusy, JobFailed, JobHandler, JobKind, endedAt, jobOf } from './job';
import { JobData, JobDoc, jobsCollection } from './jobs.collection';
import { LEASE_TIMINGS, Leases, LeaseTimings } from './leases';
import { faultName, pauseFor } from './retry';

const START_ATTEMPTS = 3;
/**
 * Maximum number of abandoned jobs that a process takes over in one turn; other replicas or the
 * next turn take the rest.
 */
const TAKEN_A_TURN = 100;
/**
 * Maximum number of concurrent jobs of one kind in a process. Further jobs wait in the store,
 * without lease renewals or requests to Vault.
 */
const MOST_AT_ONCE = 32;
/** Poll interval for a job that a caller waits for and that another process runs. */
const LOOK_MS = 100;
/** How long a shutdown waits for handlers to reach their next step. */
const STOP_PATIENCE = 5 * SECOND;

type LeaseFields = Pick<JobDoc, 'lease_owner' | 'lease_until'>;
const NOBODY: LeaseFields = { lease_owner: '', lease_until: 0 };

/**
 * Runs durable jobs: one of a kind at a time across all replicas. Another process takes over when
 * the holder dies.
 */
@Injectable()
export class JobRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  protected readonly timings: LeaseTimings = LEASE_TIMINGS;
  protected readonly mostAtOnce: number = MOST_AT_ONCE;
  readonly #logger = new Logger('Jobs');
  readonly #rows: Collection<JobDoc>;
  readonly #leases: Leases<JobDoc>;
  readonly #handlers = new Map<string, JobHandler>();
  readonly #kinds = new Map<string, JobKind>();
  readonly #held = new Map<string, HeldJob>();
  readonly #running = new Map<string, number>();
  /** Kinds with more waiting jobs than this process has room for, as of the last poll. */
  #crowded = new Set<string>();
  readonly #drives = new Set<Promise<void>>();
  #poller: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #pollFault: string | undefined;
  /** Id of the job taken over last; the next turn starts after it. */
  #last = '';
  #stopping = false;

  constructor(
    store: Store,
    private readonly clock: Clock,
    @Optional() private readonly metrics?: Metrics,
  ) {
    this.#rows = store.collection(jobsCollection);
    this.#leases = new Leases(this.#rows, clock, () => this.timings);
  }

  register(kind: string, handler: JobHandler, traits: JobKind = {}): void {
    if (this.#handlers.has(kind)) throw new TypeError(`two handlers for jobs of kind ${kind}`);
    this.#handlers.set(kind, handler);
    this.#kinds.set(kind, traits);
    this.metrics?.watchJobs(kind);
  }

  /**
   * Stores the job durably, then starts it here if there is room, else leaves it to any replica.
   * @throws JobBusy if a job of the same kind (and subject, if any) is running or paused
   */
  async start(kind: string, data: JobData, subject?: string): Promise<Job> {
    if (!this.#handlers.has(kind)) throw new TypeError(`no handler for jobs of kind ${kind}`);
    if (this.#stopping) throw new DomainError('shutting_down');
    const place = subject === undefined ? kind : `${kind}/${subject}`;
    if (!this.#hasRoom(kind)) {
      this.#crowded.add(kind);
      return jobOf(await this.#insert(kind, data, place, NOBODY));
    }
    // Reserved before the write: of many concurrent starts, those beyond the limit wait for the
    // next turn.
    const leave = this.#occupy(kind);
    try {
      const lease = await this.#leases.takeBy((fields) => this.#insert(kind, data, place, fields));
      if (lease === undefined) throw new TypeError('an insert gave no row');
      const { row } = lease;
      this.#run(lease);
      return jobOf(row);
    } finally {
      leave();
    }
  }

  /**
   * Stores a job from a process that runs none. The first replica that polls takes it, within
   * seconds.
   * @throws JobBusy
   */
  async enqueue(kind: string, data: JobData): Promise<Job> {
    return jobOf(await this.#insert(kind, data, kind, NOBODY));
  }

  async find(id: string): Promise<Job | undefined> {
    const doc = await this.#rows.find('_id', id);
    return doc === undefined ? undefined : jobOf(doc);
  }

  /** The running or paused job of this kind (and subject). */
  async active(place: string): Promise<Job | undefined> {
    const doc = await this.#rows.find('active', place);
    return doc === undefined ? undefined : jobOf(doc);
  }

  async list(kind: string, options: ListOptions): Promise<{ items: readonly Job[]; next: Position | undefined }> {
    const page = await this.#rows.list('kind', [kind], options);
    return { items: page.items.map(jobOf), next: page.next };
  }

  /**
   * Resolves with the job when `reached` is true or this process stops running it, at the latest
   * after `patienceMs`.
   */
  async until(id: string, reached: (job: Job) => boolean, patienceMs: number): Promise<Job> {
    const end = this.clock.elapsed() + patienceMs;
    for (;;) {
      const left = end - this.clock.elapsed();
      const held = this.#held.get(id);
      if (held !== undefined && !reached(held.job)) await changed(held, reached, left);
      const job = held !== undefined && reached(held.job) ? held.job : await this.find(id);
      if (job === undefined) throw new DomainError('not_found');
      if (held !== undefined || reached(job) || left <= 0 || this.#stopping) return job;
      await pauseFor(Math.min(LOOK_MS, left));
    }
  }

  /**
   * Pauses a running job at its next step; the job keeps its slot. Returns false if it is not
   * running.
   */
  async pause(id: string): Promise<boolean> {
    const paused = await this.#move(id, isIn('running'), (doc) => ({
      ...doc,
      state: 'paused',
      fence: doc.fence + 1,
      ...NOBODY,
    }));
    if (paused) this.#held.get(id)?.abandon();
    return paused;
  }

  /** Lets any replica resume a paused job. Returns false if it is not paused. */
  async resume(id: string): Promise<boolean> {
    const resumed = await this.#move(id, isIn('paused'), (doc) => ({ ...doc, state: 'running' }));
    if (resumed) void this.poll();
    return resumed;
  }

  /**
   * Ends a running or paused job as failed if `allowed` accepts its last saved data, for jobs that
   * can never continue.
   * The next write of the process that runs the job is rejected. Returns false if nothing was
   * changed.
   */
  async fail(id: string, fault: ErrorCode, allowed: (data: JobData) => boolean): Promise<boolean> {
    const end = { state: 'failed', fault, ...NOBODY } as const;
    let kind = '';
    const given = await this.#move(
      id,
      ({ state, data }) => (state === 'running' || state === 'paused') && allowed(data),
      ({ active_kind: _, ...doc }) => {
        kind = doc.kind;
        return { ...doc, ...end, ...this.#ended(kind), fence: doc.fence + 1 };
      },
    );
    if (!given) return false;
    this.#held.get(id)?.abandon();
    this.metrics?.countFailedJob(kind);
    return true;
  }

  onApplicationBootstrap(): void {
    void this.poll();
    this.#poller = setInterval(() => void this.poll(), this.timings.pollMs).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#poller);
    await this.#polling;
    const held = [...this.#held.values()];
    for (const job of held) job.abandon();
    await Promise.race([Promise.allSettled(this.#drives), pauseFor(STOP_PATIENCE)]);
    await Promise.allSettled(held.map((job) => job.release()));
  }

  /** Takes over running jobs without a holder, in turn. Never rejects. */
  poll(): Promise<void> {
    this.#polling ??= this.#takeOverAll()
      .then(() => (this.#pollFault = undefined))
      .catch((error: unknown) => this.#tellOnce(faultName(error)))
      .finally(() => (this.#polling = undefined));
    return this.#polling;
  }

  /** Logs an outage once and not at every poll. */
  #tellOnce(fault: string): void {
    if (fault !== this.#pollFault) this.#logger.warn(`jobs cannot be looked for now: ${fault}`);
    this.#pollFault = fault;
  }

  async #takeOverAll(): Promise<void> {
    const onTampered = (id: string): void => this.#logger.error(`job ${id} fails MAC verification and is left alone`);
    const [free, ids]: [JobDoc[], Set<string>] = [[], new Set()];
    for await (const doc of scanRows(this.#rows, 'state', ['running'], onTampered)) {
      ids.add(doc._id);
      if (this.#isFree(doc)) free.push(doc);
    }
    this.#leases.watchOnly(ids);
    const faults = new ErrorCollector();
    const crowded = new Set<string>();
    let taken = 0;
    for (const doc of inTurn(free, this.#last)) {
      if (this.#stopping || taken === TAKEN_A_TURN) break;
      if (!this.#hasRoom(doc.kind)) {
        crowded.add(doc.kind);
        continue;
      }
      taken += 1;
      this.#last = doc._id;
      await faults.run(() => this.#takeOver(doc));
    }
    this.#crowded = crowded;
    faults.throwFirst();
  }

  #isFree(doc: JobDoc): boolean {
    const kind = this.#kinds.get(doc.kind);
    if (kind === undefined || kind.accepts?.(doc.data) === false || this.#held.has(doc._id)) return false;
    return this.#leases.isFree(doc);
  }

  async #takeOver(doc: JobDoc): Promise<void> {
    const taken = await this.#leases.take(doc, { fence: doc.fence + 1 });
    if (taken === undefined) return;
    this.#logger.log(`job ${doc._id} (${doc.kind}) is taken over`);
    this.#run(taken);
  }

  #hasRoom(kind: string): boolean {
    return (this.#running.get(kind) ?? 0) < this.mostAtOnce;
  }

  /** Adds one to the running jobs of the kind; returns a function that subtracts it. */
  #occupy(kind: string): () => void {
    const count = (by: number): void => void this.#running.set(kind, (this.#running.get(kind) ?? 0) + by);
    count(1);
    return () => count(-1);
  }

  async #insert(kind: string, data: JobData, place: string, lease: LeaseFields): Promise<JobDoc> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#rows.insert({
          _id: newId(),
          kind,
          state: 'running',
          active_kind: place,
          ...lease,
          fence: 1,
          progress: { total: 0, done: 0, failed: 0 },
          data,
          created_at: this.clock.now(),
        });
      } catch (error) {
        if (!(error instanceof DuplicateKey)) throw error;
        const active = await this.#rows.find('active', place);
        if (active !== undefined) throw new JobBusy(jobOf(active));
        if (attempt === START_ATTEMPTS) throw new DomainError('conflict', { cause: error });
      }
    }
  }

  #ended(kind: string): Pick<JobDoc, 'finished_at' | 'gone_at'> {
    return endedAt(this.clock.now(), this.#kinds.get(kind)?.keptMs);
  }

  async #move(id: string, when: (doc: JobDoc) => boolean, change: (doc: JobDoc) => JobDoc): Promise<boolean> {
    let moved = false;
    await update(this.#rows, id, (doc) => {
      moved = when(doc);
      return moved ? change(doc) : undefined;
    });
    return moved;
  }

  #run(lease: HeldLease<JobDoc>): void {
    const { kind } = lease.row;
    const held = new HeldJob(lease, this.clock, this.#kinds.get(kind)?.keptMs);
    held.onChange(({ progress }) => this.metrics?.setJobProgress(kind, progress));
    this.#held.set(held.id, held);
    const leave = this.#occupy(kind);
    const drive = this.#drive(held).finally(() => {
      leave();
      this.#drives.delete(drive);
      if (this.#stopping) return;
      this.#held.delete(held.id);
      // Not at the end of each job, because a poll reads all waiting jobs.
      if (this.#crowded.has(kind) && (this.#running.get(kind) ?? 0) <= this.mostAtOnce / 2) void this.poll();
    });
    this.#drives.add(drive);
  }

  /**
   * Runs a job until it ends, loses its lease or yields; retries transient errors. Never rejects.
   */
  async #drive(held: HeldJob): Promise<void> {
    const { kind } = held.job;
    const handler = this.#handlers.get(kind);
    for (let attempt = 0; handler !== undefined && !held.signal.aborted; attempt += 1) {
      const { done } = held.progress;
      try {
        await this.#attempt(held, handler);
        return;
      } catch (error) {
        if (error instanceof LeaseLost) return;
        this.#logger.warn(`job ${held.id} is tried again: ${faultName(error)}`);
        // Progress resets the retry pause.
        if (held.progress.done > done) attempt = 0;
        await pauseFor(Math.min(30, 2 ** attempt) * SECOND, held.signal);
        // Yields to waiting jobs of the same kind, which may succeed; this job gets another turn
        // after them.
        if (this.#crowded.has(kind)) {
          await held.release().catch(() => undefined);
          return;
        }
      }
    }
  }

  async #attempt(held: HeldJob, handler: JobHandler): Promise<void> {
    try {
      await handler(held);
    } catch (error) {
      if (error instanceof LeaseLost || isTransient(error)) throw error;
      this.#logger.error(`job ${held.id} (${held.job.kind}) failed: ${faultName(error)}`);
      await held.finish('failed', codeOf(error));
      this.metrics?.countFailedJob(held.job.kind);
      return;
    }
    await held.finish('done');
  }
}

/**
 * Jobs after `last` come first, so that jobs that are released repeatedly do not block others. Ids
 * are in order of time.
 */
const inTurn = (docs: readonly JobDoc[], last: string): readonly JobDoc[] => [
  ...docs.filter(({ _id }) => _id > last),
  ...docs.filter(({ _id }) => _id <= last),
];

const isIn =
  (wanted: JobDoc['state']) =>
  ({ state }: JobDoc): boolean =>
    state === wanted;

const isTransient = (error: unknown): boolean =>
  isDomainError(error, 'kms_unavailable', 'store_unavailable', 'storage_full');

const codeOf = (error: unknown) => (error instanceof JobFailed || isDomainError(error) ? error.code : 'internal');

function changed(held: HeldJob, reached: (job: Job) => boolean, patienceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(settle, patienceMs);
    const stop = held.onChange((job) => {
      if (reached(job) || held.signal.aborted) settle();
    });
  });
}
