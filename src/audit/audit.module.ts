import { Global, Module } from '@nestjs/common';
import { AuditSink } from '../kernel';
import { ChainedAuditSink } from './chained-audit-sink';

@Global()
@Module({ providers: [{ provide: AuditSink, useClass: ChainedAuditSink }], exports: [AuditSink] })
export class AuditModule {}
