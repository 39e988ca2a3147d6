import { DynamicModule, Global, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { createLogger } from './logger';
import { DamageReports } from './damage-reports';
import { Metrics } from './metrics';

@Global()
@Module({})
export class ObservabilityModule {
  static forRoot(level: string): DynamicModule {
    // No middleware (`forRoutes` is empty): http/ logs each request itself, with the route template
    // and never the URL.
    const logger = LoggerModule.forRoot({ pinoHttp: { logger: createLogger({ level }) }, forRoutes: [] });
    return {
      module: ObservabilityModule,
      imports: [logger],
      providers: [Metrics, DamageReports],
      exports: [Metrics, DamageReports, logger],
    };
  }
}
