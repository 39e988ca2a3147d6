export { type Job, JobBusy, type JobChange, JobFailed, type JobHandler, type RunningJob } from './job';
export { JobRunner } from './job-runner';
export { type JobData, type JobProgress, type JobState } from './jobs.collection';
export { LeaseLost } from './held-lease';
export { isGone, newLeaseOwner } from './lease-owner';
export { JobsModule } from './jobs.module';
export { pauseFor } from './retry';
export { Scheduler } from './scheduler';
export { AdaptiveBatcher, type BatchLimits, type BatchStep } from './adaptive-batcher';
