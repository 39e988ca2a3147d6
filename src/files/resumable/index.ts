import { Provider } from '@nestjs/common';
import { Assembly, AssemblyTools } from './assembly';
import { UploadCompletion } from './completion';
import { NewUploads } from './new-uploads';
import { UploadsUserData } from './uploads-user-data';
import { StagedParts } from './staged-parts';
import { UploadAccess } from './upload-access';
import { UploadAttempts } from './upload-attempts';
import { UploadBlobs } from './upload-blobs';
import { UploadLocks } from './upload-locks';
import { UploadRemoval } from './upload-removal';
import { UploadsService } from './uploads.service';
import { UploadsSweeper, UploadSweepTools } from './uploads-sweeper';

export { UploadsUserData } from './uploads-user-data';
export { UploadsController } from './uploads.controller';

export const UPLOAD_PROVIDERS: readonly Provider[] = [
  Assembly,
  AssemblyTools,
  NewUploads,
  UploadsUserData,
  StagedParts,
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
