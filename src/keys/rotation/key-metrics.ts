import { Injectable, OnModuleInit } from '@nestjs/common';
import { Clock, MINUTE } from '../../kernel';
import { Metrics } from '../../observability';
import { Store } from '../../store';
import { userKeysCollection } from '../user-keys';
import { KeyOverview } from './key-overview';

/** Counting stops here: the exact number does not matter beyond it. */
const COUNTED = 10_000;

interface MasterKeyFigure {
  readonly version: number;
  readonly createdAt: number | undefined;
}

/**
 * Gives the metrics the version and age of the master key, and the number of keys in quarantine.
 */
@Injectable()
export class KeyMetrics implements OnModuleInit {
  #found: Promise<MasterKeyFigure> | undefined;
  #askedAt = 0;

  constructor(
    private readonly overview: KeyOverview,
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    const rows = this.store.collection(userKeysCollection);
    this.metrics.watched.masterKey(() => this.#masterKey());
    this.metrics.watchQuarantine(() => rows.count('due', [true], COUNTED));
  }

  /**
   * Asks the backend once a minute at most, however often the metrics are scraped. Rejects where it
   * does not answer, and the next scrape asks again.
   */
  #masterKey(): Promise<MasterKeyFigure> {
    const now = this.clock.elapsed();
    if (this.#found !== undefined && now - this.#askedAt < MINUTE) return this.#found;
    this.#askedAt = now;
    this.#found = this.#ask();
    this.#found.catch(() => (this.#found = undefined));
    return this.#found;
  }

  async #ask(): Promise<MasterKeyFigure> {
    const { version, createdAt } = await this.overview.currentVersion();
    return { version, createdAt: createdAt === 0 ? undefined : createdAt };
  }
}
