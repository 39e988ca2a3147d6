export { BootFilter } from './boot-filter';
export { DamageReports, damageOf } from './damage-reports';
export { createLogger, describeError } from './logger';
export type { LockoutKind, VaultFigures, VaultOperation, VaultOutcome } from './figures';
export { Metrics } from './metrics';
export { ObservabilityModule } from './observability.module';
export * from './request-context';
