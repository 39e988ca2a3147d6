export { BootFilter } from './boot-filter';
export { createLogger, describeError } from './logger';
export { Metrics } from './metrics';
export { ObservabilityModule } from './observability.module';
export * from './request-context';
