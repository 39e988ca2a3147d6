import { Inject, Injectable, OnApplicationShutdown, Optional } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import { AuditIntent, AuditOutcome, AuditSink, Clock, DomainError, OpenAct, Readiness, newId } from '../kernel';
import { Metrics, currentRequestId } from '../observability';
import { Store } from '../store';
import { ChainWriter } from './chain-writer';
import { AuditEntry, AuditPhase, entryOf, outcomeOf } from './entry';
import { GroupCommit } from './group-commit';

/** The audit log: chained batches in the store. */
@Injectable()
export class ChainedAuditSink extends AuditSink implements OnApplicationShutdown {
  readonly #commit: GroupCommit;
  readonly #reads: boolean;

  constructor(
    store: Store,
    private readonly clock: Clock,
    readiness: Readiness,
    @Inject(CONFIG) config: Config,
    @Optional() metrics?: Metrics,
  ) {
    super();
    this.#reads = config.auditReads;
    this.#commit = new GroupCommit(
      new ChainWriter(store, clock),
      clock,
      (count) => this.#entry('note', { action: 'audit.dropped', actor: 'system:audit', details: { count } }),
      (seconds, outcome) => metrics?.observeAuditFlush(seconds, outcome),
    );
    readiness.register({ name: 'audit', restsOn: 'store', check: () => this.#check() });
  }

  async begin(intent: AuditIntent): Promise<OpenAct> {
    const entry = this.#entry('intent', intent);
    await this.#commit.durable(entry);
    return this.#openAct(entry);
  }

  async read(intent: AuditIntent): Promise<void> {
    if (this.#reads) await this.#commit.durable(this.#entry('read', intent));
  }

  note(intent: AuditIntent, outcome: AuditOutcome): void {
    this.#commit.queue({ ...this.#entry('note', intent), outcome });
  }

  /** What is queued goes out before the store closes. */
  async onApplicationShutdown(): Promise<void> {
    await this.#commit.flush();
  }

  #openAct(intent: AuditEntry): OpenAct {
    let open = true;
    return {
      close: (outcome, details) => {
        if (!open) return;
        open = false;
        this.#commit.queue(outcomeOf(intent, this.clock.now(), outcome, details));
      },
    };
  }

  #entry(phase: AuditPhase, intent: AuditIntent): AuditEntry {
    return entryOf(newId(), this.clock.now(), phase, intent, currentRequestId());
  }

  async #check(): Promise<void> {
    if (this.#commit.failing) await this.#commit.flush();
    if (this.#commit.failing) throw new DomainError('audit_unavailable');
  }
}
