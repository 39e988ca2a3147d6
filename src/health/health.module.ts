import { Module } from '@nestjs/common';
import { DependencyFigures } from './dependency-figures';
import { Health } from './health';
import { HealthController } from './health.controller';
import { MetricsController } from './metrics.controller';

@Module({ controllers: [HealthController, MetricsController], providers: [Health, DependencyFigures] })
export class HealthModule {}
