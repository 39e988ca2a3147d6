import { Module, OnApplicationShutdown, OnModuleInit, Provider } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { Scheduler } from '../jobs';
import { HOUR, SECOND } from '../kernel';
import { QuotaModule } from '../quota';
import { SharingModule } from '../sharing';
import { BlobOwnership } from './content/blob-ownership';
import { ContentStore } from './content/content-store';
import { ProcessIdentity } from './content/keepalive';
import { QuotaLedger } from './content/quota-ledger';
import { FileChangesController } from './http/file-changes.controller';
import { FileContentController } from './http/file-content.controller';
import { FileGrantsController, ReceivedGrantsController } from './http/file-grants.controller';
import { FileLinksController, UploadLinksController } from './http/file-links.controller';
import { FileVersionsController } from './http/file-versions.controller';
import { FilesController } from './http/files.controller';
import { LinkContentController, LinkPageController } from './http/link-content.controller';
import { FileScrubber } from './maintenance/scrub/file-scrubber';
import { ScrubsController } from './maintenance/scrub/scrub.controller';
import { ScrubJob } from './maintenance/scrub/scrub.job';
import { ScrubSchedule, Scrubs } from './maintenance/scrub/scrub.service';
import { FilesSweeper } from './maintenance/sweeper';
import { FileAccess } from './operations/access';
import { CreateFile } from './operations/create-file';
import { DeleteFile, FileRemoval } from './operations/delete-file';
import { FileLinks, UploadLinkRedemptions } from './operations/file-links';
import { FileVersions } from './operations/file-versions';
import { GetFile } from './operations/get-file';
import { ListFiles } from './operations/list-files';
import { PendingFiles } from './operations/pending-file';
import { RekeyFile } from './operations/rekey-file';
import { ReplaceContent } from './operations/replace-content';
import { FileSharing } from './operations/share-file';
import { StagedContents } from './operations/staged-content';
import { UpdateFile } from './operations/update-file';
import { VerifyFile } from './operations/verify-file';
import { CreateUpload } from './resumable/create-upload';
import { StagedParts } from './resumable/staged-parts';
import { UploadsController } from './resumable/tus.controller';
import { Assembly, UploadCompletion } from './resumable/upload-assembly';
import { UploadRemoval, UploadsSweeper } from './resumable/upload-cleanup';
import { UploadLocks } from './resumable/upload-locks';
import { UploadAccess, UploadService } from './resumable/upload-service';
import { UploadWriter } from './resumable/upload-writer';
import { FilesUserData, UploadsUserData } from './user-data';

const CONTENT: readonly Provider[] = [
  { provide: FileMessages, useFactory: () => new FileMessages() },
  BlobOwnership,
  ContentStore,
  ProcessIdentity,
  QuotaLedger,
];

const OPERATIONS: readonly Provider[] = [
  CreateFile,
  DeleteFile,
  FileAccess,
  FileLinks,
  FileRemoval,
  FileSharing,
  FileVersions,
  GetFile,
  ListFiles,
  PendingFiles,
  RekeyFile,
  ReplaceContent,
  StagedContents,
  UpdateFile,
  UploadLinkRedemptions,
  VerifyFile,
];

const RESUMABLE: readonly Provider[] = [
  Assembly,
  CreateUpload,
  StagedParts,
  UploadAccess,
  UploadCompletion,
  UploadLocks,
  UploadRemoval,
  UploadService,
  UploadWriter,
];

const MAINTENANCE: readonly Provider[] = [
  FileScrubber,
  FilesSweeper,
  FilesUserData,
  ScrubJob,
  ScrubSchedule,
  Scrubs,
  UploadsSweeper,
  UploadsUserData,
];

@Module({
  imports: [QuotaModule, SharingModule],
  controllers: [
    FilesController,
    FileContentController,
    FileChangesController,
    FileVersionsController,
    FileGrantsController,
    ReceivedGrantsController,
    FileLinksController,
    LinkContentController,
    LinkPageController,
    UploadLinksController,
    UploadsController,
    ScrubsController,
  ],
  providers: [...CONTENT, ...OPERATIONS, ...RESUMABLE, ...MAINTENANCE],
  exports: [ListFiles, FilesUserData, UploadsUserData],
})
export class FilesModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly messages: FileMessages,
    private readonly scheduler: Scheduler,
    private readonly files: FilesSweeper,
    private readonly uploads: UploadsSweeper,
    private readonly blobs: BlobOwnership,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('files.sweep', 20 * SECOND, () => this.files.sweep());
    this.scheduler.every('files.orphans', HOUR, () => this.blobs.sweepOrphans());
    this.scheduler.every('uploads.sweep', 20 * SECOND, () => this.uploads.sweep());
  }

  /** The worker threads end after the last transfer. */
  onApplicationShutdown(): Promise<void> {
    return this.messages.close();
  }
}
