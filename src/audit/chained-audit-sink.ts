import { Inject, Injectable, OnApplicationShutdown, Optional } from '@nestjs/common';
import { CONFIG, Config } from '../config';
import {
  AuditIntent,
  AuditOutcome,
  AuditSink,
  Clock,
  DomainError,
  OpenAct,
  Readiness,
  currentRequester,
  newId,
} from '../kernel';
import { Metrics, currentRequest, nameActor } from '../observability';
import { Store } from '../store';
import { ChainWriter } from './chain-writer';
import { AuditEntry, AuditPhase, entryOf, outcomeOf } from './entry';
import { GroupCommit } from './group-commit';
import { Origin, RefusalFloods } from './refusal-floods';

/** The audit log: hash-chained batches in the store. */
@Injectable()
export class ChainedAuditSink extends AuditSink implements OnApplicationShutdown {
  readonly #commit: GroupCommit;
  readonly #floods: RefusalFloods;
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
    this.#floods = new RefusalFloods(this.#commit, clock);
    readiness.register({ name: 'audit', restsOn: 'store', check: () => this.#check() });
  }

  async begin(intent: AuditIntent): Promise<OpenAct> {
    const entry = this.#entry('intent', intent);
    nameActor(entry.actor);
    if (intent.gathers !== true) return this.#begun(entry);
    const origin = originOf(entry);
    // If the log cannot be written, each action is rejected by its own intent.
    if (!this.#commit.failing && this.#floods.isFlooded(entry.action, origin)) return this.#floods.begin(entry, origin);
    return this.#begun(entry, this.#floods.singly(entry.action, origin));
  }

  async read(intent: AuditIntent): Promise<void> {
    if (this.#reads) await this.#commit.durable(this.#entry('read', intent));
  }

  note(intent: AuditIntent, outcome: AuditOutcome): void {
    const entry: AuditEntry = { ...this.#entry('note', intent), outcome };
    if (isFloodable(entry)) {
      const origin = originOf(entry);
      if (this.#floods.isFlooded(entry.action, origin)) {
        this.#floods.count(entry, origin);
        return;
      }
      this.#floods.singly(entry.action, origin)(true);
    }
    this.#commit.queue(entry);
  }

  /** Writes the queued entries before the store closes. */
  async onApplicationShutdown(): Promise<void> {
    this.#floods.end();
    await this.#commit.flush();
  }

  async #begun(intent: AuditEntry, ended: (isRefused: boolean) => void = () => undefined): Promise<OpenAct> {
    try {
      await this.#commit.durable(intent);
    } catch (error) {
      ended(false);
      throw error;
    }
    let open = true;
    return {
      close: (outcome, details) => {
        if (!open) return;
        open = false;
        ended(outcome === 'refused');
        this.#commit.queue(outcomeOf(intent, this.clock.now(), outcome, details));
      },
    };
  }

  #entry(phase: AuditPhase, intent: AuditIntent): AuditEntry {
    return entryOf(newId(), this.clock.now(), phase, intent, currentRequest());
  }

  async #check(): Promise<void> {
    if (this.#commit.failing) await this.#commit.flush();
    if (this.#commit.failing) throw new DomainError('audit_unavailable');
  }
}

/** Damage is recorded for each row, no matter how often it occurs. */
const DAMAGE: ReadonlySet<unknown> = new Set(['integrity_failed', 'decryption_failed', 'checksum_mismatch']);

/** True for rejections that a client can cause at will. */
const isFloodable = ({ outcome, actor, details }: AuditEntry): boolean =>
  outcome === 'refused' && !actor.startsWith('system:') && !DAMAGE.has(details?.['code']);

function originOf({ actor, resource }: AuditEntry): Origin {
  return { target: actor === 'anonymous' ? resource : actor, address: currentRequester()?.address };
}
