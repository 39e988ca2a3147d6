import { Injectable, OnModuleInit } from '@nestjs/common';
import { Clock, MINUTE } from '../kernel';
import { Scheduler } from '../jobs';
import { Collection, Store } from '../store';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

/**
 * Far longer than any request lasts; a writer that slept longer finds its row removed and answers
 * 503.
 */
const ABANDONED_AFTER = 15 * MINUTE;
const BATCH = 200;

/**
 * Removes pending rows whose writer died between its two writes. No client received the ids of such
 * rows.
 */
@Injectable()
export class PendingSweeper implements OnModuleInit {
  readonly #rows: Collection<SensitiveDataDoc>;

  constructor(
    store: Store,
    private readonly scheduler: Scheduler,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(sensitiveDataCollection);
  }

  onModuleInit(): void {
    this.scheduler.every('sensitive-data.sweep', MINUTE, async () => {
      await this.sweep();
    });
  }

  /**
   * Returns the number of removed rows. The revision check spares rows that were activated
   * meanwhile.
   */
  async sweep(): Promise<number> {
    const page = await this.#rows.list('pending', [], { limit: BATCH, onTampered: () => undefined });
    const abandoned = page.items.filter((row) => (row.pending_since ?? Infinity) < this.clock.now() - ABANDONED_AFTER);
    let removed = 0;
    for (const row of abandoned) removed += (await this.#rows.remove(row._id, row.rev)) ? 1 : 0;
    return removed;
  }
}
