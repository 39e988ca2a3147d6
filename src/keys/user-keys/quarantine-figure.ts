import { Injectable, OnModuleInit } from '@nestjs/common';
import { Metrics } from '../../observability';
import { Store } from '../../store';
import { userKeysCollection } from './user-keys.collection';

/** Beyond this it is no question of how many. */
const COUNTED = 10_000;

/** Tells the metrics how many rows of user keys are in quarantine: by the index, at each scrape. */
@Injectable()
export class QuarantineFigure implements OnModuleInit {
  constructor(
    private readonly store: Store,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    const rows = this.store.collection(userKeysCollection);
    this.metrics.watchQuarantine(() => rows.count('due', [true], COUNTED));
  }
}
