import { Injectable, OnModuleInit } from '@nestjs/common';
import { Turns } from '../kernel';
import { RecordUsage } from '../quota';
import { Collection, Store } from '../store';
import { valueBytes } from './record-cipher';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

const FEWEST = 16;
const MOST = 256;
/**
 * After a page of this many bytes the next page is small, so that only a few large values are in
 * memory at once.
 */
const LARGE_PAGE = 1024 * 1024;

/** Sums the sizes of an owner's values from their rows. */
@Injectable()
export class RecordCount implements OnModuleInit {
  readonly #rows: Collection<SensitiveDataDoc>;

  constructor(
    store: Store,
    private readonly usage: RecordUsage,
  ) {
    this.#rows = store.collection(sensitiveDataCollection);
  }

  onModuleInit(): void {
    this.usage.countBy((ownerId) => this.bytesOf(ownerId));
  }

  /**
   * Skips rows that fail MAC verification. A pending row is counted by the write that announced it.
   */
  async bytesOf(ownerId: string): Promise<number> {
    const turns = new Turns();
    let sum = 0;
    let limit = FEWEST;
    for (let after: string | undefined; ;) {
      const options = { limit, onTampered: () => undefined, ...(after !== undefined && { after }) };
      const { items, next } = await this.#rows.list('owner', [ownerId, 'active'], options);
      const bytes = items.reduce((total, row) => total + valueBytes(row), 0);
      sum += bytes;
      if (next === undefined) return sum;
      after = next;
      limit = bytes > LARGE_PAGE ? FEWEST : Math.min(MOST, limit * 2);
      await turns.pause();
    }
  }
}
