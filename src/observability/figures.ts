import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const VAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Purpose and outcome of a request to Vault. `refused` is a 4xx response, `forbidden` a 403. */
export const VAULT_OPERATIONS = ['login', 'renew', 'lookup', 'encrypt', 'decrypt', 'rewrap', 'kv', 'other'] as const;
export type VaultOperation = (typeof VAULT_OPERATIONS)[number];
export const VAULT_OUTCOMES = ['done', 'refused', 'forbidden', 'unavailable'] as const;
export type VaultOutcome = (typeof VAULT_OUTCOMES)[number];

/** Requests to Vault and the lifetime of its token. */
export class VaultFigures {
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #expiry: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: 'coffer_vault_requests_total',
      help: 'Requests to Vault, by what they were for and how they ended.',
      labelNames: ['operation', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'coffer_vault_request_duration_seconds',
      help: 'Time of one request to Vault, answered or not.',
      labelNames: ['operation'],
      buckets: VAULT_BUCKETS,
      registers,
    });
    this.#expiry = new Gauge({
      name: 'coffer_vault_token_expiry_timestamp_seconds',
      help: 'When the Vault token in use ends if it is not renewed; +Inf where it never does, or there is none.',
      registers,
    });
    this.#expiry.set(Infinity);
    for (const operation of VAULT_OPERATIONS)
      for (const outcome of VAULT_OUTCOMES) this.#requests.inc({ operation, outcome }, 0);
  }

  observe(operation: VaultOperation, outcome: VaultOutcome, seconds: number): void {
    this.#requests.inc({ operation, outcome });
    this.#seconds.observe({ operation }, seconds);
  }

  /** @param seconds from now; 0 means no expiry */
  setTokenLife(seconds: number): void {
    this.#expiry.set(seconds === 0 ? Infinity : Date.now() / 1000 + seconds);
  }
}

/** Attempts to send a mail, by outcome. */
export class MailFigures {
  readonly #mails: Counter;

  constructor(registry: Registry) {
    this.#mails = new Counter({
      name: 'coffer_mails_total',
      help: 'Attempts to send a mail: sent, or failed. One that failed is tried again where nobody waits for it.',
      labelNames: ['outcome'],
      registers: [registry],
    });
    for (const outcome of ['sent', 'failed']) this.#mails.inc({ outcome }, 0);
  }

  count(outcome: 'sent' | 'failed'): void {
    this.#mails.inc({ outcome });
  }
}

/** Periodic tasks: sweeps, schedules, resumed work. */
export class TaskFigures {
  readonly #runs: Counter;
  readonly #last: Gauge;

  constructor(registry: Registry) {
    this.#runs = new Counter({
      name: 'coffer_task_runs_total',
      help: 'Runs of periodic tasks on this process. One replica at a time runs each.',
      labelNames: ['task', 'outcome'],
      registers: [registry],
    });
    this.#last = new Gauge({
      name: 'coffer_task_last_done_timestamp_seconds',
      help: 'When this process last brought a periodic task to its end; the greatest of all replicas counts.',
      labelNames: ['task'],
      registers: [registry],
    });
  }

  watch(task: string): void {
    for (const outcome of ['done', 'failed']) this.#runs.inc({ task, outcome }, 0);
  }

  count(task: string, outcome: 'done' | 'failed'): void {
    this.#runs.inc({ task, outcome });
    if (outcome === 'done') this.#last.set({ task }, Date.now() / 1000);
  }
}

export const LOCKOUT_KINDS = ['password', 'second_factor', 'session_password', 'session_code'] as const;
export type LockoutKind = (typeof LOCKOUT_KINDS)[number];

/** Rejected requests by error code, and lockouts by kind. */
export class RefusalFigures {
  readonly #refusals: Counter;
  readonly #lockouts: Counter;

  constructor(registry: Registry, codes: readonly string[]) {
    this.#refusals = new Counter({
      name: 'coffer_refusals_total',
      help: 'Requests that were refused, by the code of the answer.',
      labelNames: ['code'],
      registers: [registry],
    });
    this.#lockouts = new Counter({
      name: 'coffer_lockouts_total',
      help: 'Lockouts that began: of passwords and second factors of accounts (and of names without one), and of sessions.',
      labelNames: ['kind'],
      registers: [registry],
    });
    for (const code of codes) this.#refusals.inc({ code }, 0);
    for (const kind of LOCKOUT_KINDS) this.#lockouts.inc({ kind }, 0);
  }

  count(code: string): void {
    this.#refusals.inc({ code });
  }

  countLockout(kind: LockoutKind): void {
    this.#lockouts.inc({ kind });
  }
}
