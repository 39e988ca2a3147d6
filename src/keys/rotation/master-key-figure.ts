import { Injectable, OnModuleInit } from '@nestjs/common';
import { Clock, MINUTE } from '../../kernel';
import { Metrics } from '../../observability';
import { KeyOverview } from './key-overview';

interface Found {
  readonly version: number;
  readonly createdAt: number | undefined;
}

/** Tells the metrics version and age of the master key. Its backend is asked once a minute at most, however often is scraped. */
@Injectable()
export class MasterKeyFigure implements OnModuleInit {
  #found: Promise<Found> | undefined;
  #askedAt = 0;

  constructor(
    private readonly overview: KeyOverview,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    this.metrics.watched.masterKey(() => this.read());
  }

  /** Rejects where the backend does not answer; the next scrape asks again. */
  private read(): Promise<Found> {
    const now = this.clock.elapsed();
    if (this.#found !== undefined && now - this.#askedAt < MINUTE) return this.#found;
    this.#askedAt = now;
    this.#found = this.ask();
    this.#found.catch(() => (this.#found = undefined));
    return this.#found;
  }

  private async ask(): Promise<Found> {
    const { version, createdAt } = await this.overview.currentVersion();
    return { version, createdAt: createdAt === 0 ? undefined : createdAt };
  }
}
