import { Injectable, OnModuleInit } from '@nestjs/common';
import { Metrics } from '../observability';
import { Health } from './health';

/** Tells the metrics what /readyz would say. */
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
