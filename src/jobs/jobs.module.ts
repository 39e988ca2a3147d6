import { Global, Module } from '@nestjs/common';
import { JobRunner } from './job-runner';
import { LeasedScheduler } from './leased-scheduler';
import { Scheduler } from './scheduler';

@Global()
@Module({
  providers: [JobRunner, { provide: Scheduler, useClass: LeasedScheduler }],
  exports: [JobRunner, Scheduler],
})
export class JobsModule {}
