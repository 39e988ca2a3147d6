import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { ERROR_CODES } from '../kernel';
import { MailFigures, RefusalFigures, TaskFigures, VaultFigures } from './figures';
import { WatchedFigures } from './watched-figures';

const HTTP_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const FLUSH_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/**
 * All metrics of one process, in one registry. Labels hold route templates and names, never an id
 * or a value.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly vault = new VaultFigures(this.registry);
  readonly mails = new MailFigures(this.registry);
  readonly tasks = new TaskFigures(this.registry);
  readonly refusals = new RefusalFigures(this.registry, ERROR_CODES);
  readonly watched = new WatchedFigures(this.registry);
  readonly #http = this.#histogram(
    'http_server_request_duration_seconds',
    'Time from the headers of a request to the end of its answer.',
    HTTP_BUCKETS,
    ['method', 'route', 'status'],
  );
  readonly #flush = this.#histogram(
    'coffer_audit_flush_duration_seconds',
    'Time of one group commit of the audit log.',
    FLUSH_BUCKETS,
    ['outcome'],
  );
  readonly #forged = new Counter({
    name: 'coffer_forged_rows_total',
    help: 'Stored rows that failed MAC verification.',
    labelNames: ['collection'],
    registers: [this.registry],
  });

  readonly #damaged = new Counter({
    name: 'coffer_damaged_reads_total',
    help: 'Reads that met stored data which does not verify.',
    labelNames: ['resource'],
    registers: [this.registry],
  });
  readonly #aborted = new Counter({
    name: 'coffer_aborted_transfers_total',
    help: 'Downloads and uploads of files that ended before their last byte.',
    labelNames: ['direction'],
    registers: [this.registry],
  });
  readonly #jobsFailed = new Counter({
    name: 'coffer_jobs_failed_total',
    help: 'Jobs that this process ended as failed.',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly #jobs = new Gauge({
    name: 'coffer_job_items',
    help: 'Progress of the last job of each kind that this process ran: items in all, done, and failed.',
    labelNames: ['kind', 'state'],
    registers: [this.registry],
  });

  readonly #scrubbed = {
    files: this.#counter('coffer_scrub_files_total', 'Files that scrubs read through, damaged ones included.'),
    failed: this.#counter('coffer_scrub_failed_total', 'Files that scrubs found damaged.'),
    bytes: this.#counter('coffer_scrub_bytes_total', 'Bytes of content that scrubs read.'),
  };
  readonly #scrubFinished = new Gauge({
    name: 'coffer_scrub_last_finished_timestamp_seconds',
    help: 'When this process last brought a scrub to its end.',
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    // Initialises the counters at 0: Prometheus does not see the first increment of a counter that
    // starts at 1.
    for (const resource of ['file', 'record']) this.#damaged.inc({ resource }, 0);
    for (const direction of ['download', 'upload']) this.#aborted.inc({ direction }, 0);
    for (const outcome of ['done', 'failed']) this.#flush.zero({ outcome });
  }

  observeHttp(method: string, route: string, status: number, seconds: number): void {
    this.#http.observe({ method, route, status }, seconds);
  }

  observeAuditFlush(seconds: number, outcome: 'done' | 'failed'): void {
    this.#flush.observe({ outcome }, seconds);
  }

  /** Creates the counter of a collection, at 0. */
  watchForgedRows(collection: string): void {
    this.#forged.inc({ collection }, 0);
  }

  countForgedRow(collection: string): void {
    this.#forged.inc({ collection });
  }

  countDamagedRead(resource: 'file' | 'record'): void {
    this.#damaged.inc({ resource });
  }

  countAbortedTransfer(direction: 'download' | 'upload'): void {
    this.#aborted.inc({ direction });
  }

  /** Creates the counter of a job kind, at 0. */
  watchJobs(kind: string): void {
    this.#jobsFailed.inc({ kind }, 0);
  }

  countFailedJob(kind: string): void {
    this.#jobsFailed.inc({ kind });
  }

  setJobProgress(kind: string, progress: { total: number; done: number; failed: number }): void {
    for (const state of ['total', 'done', 'failed'] as const) this.#jobs.set({ kind, state }, progress[state]);
  }

  countScrubbed(bytes: number, failed: boolean): void {
    this.#scrubbed.files.inc();
    this.#scrubbed.bytes.inc(bytes);
    if (failed) this.#scrubbed.failed.inc();
  }

  /** @param at ms since the epoch */
  setScrubFinished(at: number): void {
    this.#scrubFinished.set(at / 1000);
  }

  /** Registers the length of the password hash queue. Each scrape calls `read`. */
  watchPasswordQueue(read: () => number): void {
    new Gauge({
      name: 'coffer_password_hash_queue',
      help: 'Password hashes that wait for a free slot.',
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /**
   * Registers the number of quarantined user keys. Each scrape calls `read`; if `read` fails, the
   * last value stays.
   */
  watchQuarantine(read: () => Promise<number>): void {
    new Gauge({
      name: 'coffer_user_keys_quarantined',
      help: 'Rows of user keys that the last rotation could not wrap again, up to 10,000; the same on all replicas.',
      registers: [this.registry],
      async collect() {
        const count = await read().catch(() => undefined);
        if (count !== undefined) this.set(count);
      },
    });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[], labelNames: string[]): Histogram {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] });
  }
}
