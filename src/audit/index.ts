export { AuditModule } from './audit.module';
export { ChainedAuditSink } from './chained-audit-sink';
export { type ChainFault, type ChainFaultKind, type ChainReport, verifyChain } from './verify-chain';
