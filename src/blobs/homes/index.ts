export { type BlobPlan, BlobPlans } from './blob-plan';
export { BlobMigration, type MoveProgress } from './blob-migration';
export { HomedBlobStore } from './homed-blob-store';
