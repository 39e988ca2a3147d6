import { Provider } from '@nestjs/common';
import { Assembly, AssemblyTools } from './assembly';
import { UploadCompletion } from './completion';
import { NewUploads } from './new-uploads';
import { OwnedUploads } from './owned-uploads';
import { StagedSegments } from './staged-segments';
import { UploadAccess } from './upload-access';
import { UploadAttempts } from './upload-attempts';
import { UploadBlobs } from './upload-blobs';
import { UploadLocks } from './upload-locks';
import { UploadRemoval } from './upload-removal';
import { UploadsService } from './uploads.service';
import { UploadsSweeper, UploadSweepTools } from './uploads-sweeper';

export { OwnedUploads } from './owned-uploads';
export { UploadsController } from './uploads.controller';

export const UPLOAD_PROVIDERS: readonly Provider[] = [
  Assembly,
  AssemblyTools,
  NewUploads,
  OwnedUploads,
  StagedSegments,
  UploadAccess,
  UploadAttempts,
  UploadBlobs,
  UploadCompletion,
  UploadLocks,
  UploadRemoval,
  UploadsService,
  UploadsSweeper,
  UploadSweepTools,
];
