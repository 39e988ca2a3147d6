import { Provider } from '@nestjs/common';
import { Assembly, AssemblyTools } from './assembly';
import { UploadCompletion } from './upload-assembly';
import { NewUploads } from './create-upload';
import { UploadsUserData } from './uploads-user-data';
import { StagedParts } from './staged-parts';
import { UploadAccess } from './upload-access';
import { UploadAttempts } from './upload-writer';
import { UploadBlobs } from './upload-blobs';
import { UploadLocks } from './upload-locks';
import { UploadRemoval } from './upload-removal';
import { UploadsService } from './upload-service';
import { UploadsSweeper, UploadSweepTools } from './upload-cleanup';

export { UploadsUserData } from './uploads-user-data';
export { UploadsController } from './tus.controller';

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
