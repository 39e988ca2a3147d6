export { type BlobRelocation, BlobRelocations } from './blob-plan';
export { BlobMigration, type MoveProgress } from './blob-migration';
export { RelocatableBlobStore } from './relocatable-blob-store';
