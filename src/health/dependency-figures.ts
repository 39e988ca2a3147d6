import { Injectable, OnModuleInit } from '@nestjs/common';
import { Metrics } from '../observability';
import { Health } from './health';

/** Exposes the result of /readyz as metrics. */
@Injectable()
export class DependencyFigures implements OnModuleInit {
  constructor(
    private readonly health: Health,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    this.metrics.watched.dependencies(() => this.health.state());
  }
}
