export { GatheredChanges } from './gathered-changes';
export { OwnerUsage, quotaExceeded, takenOf } from './owner-usage';
export { QuotaModule } from './quota.module';
export { RecordUsage } from './record-usage';
export { type FileUsageDoc, type UsageMark, fileUsageCollection, isEmptyUsage } from './usage.collection';
