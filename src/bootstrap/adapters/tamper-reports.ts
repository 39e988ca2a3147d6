import { Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Lifecycle } from '../../http';
import { AuditSink, MINUTE } from '../../kernel';
import { Metrics } from '../../observability';

/**
 * Reports rows whose MAC fails. The audit log needs the authenticated store itself, so it is
 * connected later.
 */
@Injectable()
export class TamperedRows {
  readonly #logger = new Logger('store');
  /**
   * A bad row that a poll or a page meets again is reported once a minute, so that it does not fill
   * the log.
   */
  readonly #reported = new LRUCache<string, true>({ max: 1_000, ttl: MINUTE });
  #sink: AuditSink | undefined;

  constructor(
    private readonly metrics: Metrics,
    private readonly lifecycle: Lifecycle,
  ) {}

  connect(sink: AuditSink): void {
    this.#sink = sink;
  }

  readonly watch = (collection: string): void => this.metrics.watchForgedRows(collection);

  readonly report = (collection: string, id: string): void => {
    // A first start writes its MACs as it goes on; a start that meets a tampered row is refused
    // with a line of its own.
    if (!this.lifecycle.hasStarted) return;
    this.metrics.countForgedRow(collection);
    const row = `${collection}/${id}`;
    if (this.#reported.has(row)) return;
    this.#reported.set(row, true);
    this.#logger.error({ collection, id, msg: 'a stored row fails MAC verification' });
    // A tampered row of the log itself is found by verification; an entry about it would loop.
    if (collection.startsWith('audit')) return;
    this.#sink?.note({ action: 'row.forged', actor: 'system:store', resource: row }, 'refused');
  };
}
