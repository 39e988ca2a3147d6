import { Injectable, OnModuleInit } from '@nestjs/common';
import { Turns } from '../kernel';
import { RecordUsage } from '../quota';
import { Collection, Store } from '../store';
import { valueBytes } from './record-cipher';
import { SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';

const FEWEST = 16;
const MOST = 256;
/** A page of this many bytes is followed by a small one, so that few large values are in memory at once. */
const LARGE_PAGE = 1024 * 1024;

/** Sums up what the values of an owner take, by their rows. */
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

  /** Rows that fail MAC verification count nothing. A pending row counts with the write that announced it. */
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
