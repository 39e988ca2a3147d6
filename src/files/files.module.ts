import { Module, OnApplicationShutdown } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { QuotaModule } from '../quota';
import { SharingModule } from '../sharing';
import { BlobOwnership } from './content/blob-ownership';
import { ContentCheck } from './content/content-check';
import { FileAccess } from './operations/access';
import { FileChanges } from './operations/update-file';
import { FileChangesController } from './http/file-changes.controller';
import { FileContentController } from './http/file-content.controller';
import { FileContents } from './content/content-store';
import { FileDeletion } from './operations/delete-file';
import { FileGrantsController } from './http/file-grants.controller';
import { FileListing } from './operations/list-files';
import { FileRekey } from './operations/rekey-file';
import { FileRemoval } from './operations/file-removal';
import { FileReplacements } from './operations/replace-content';
import { FileSharing } from './operations/share-file';
import { FileTraces } from './content/file-traces';
import { FileUploads } from './operations/create-file';
import { FileVerification } from './operations/verify-file';
import { FileVersions } from './operations/file-versions';
import { FileVersionsController } from './http/file-versions.controller';
import { ProcessIdentity } from './content/process-identity';
import { FilesController } from './http/files.controller';
import { FilesService } from './operations/get-file';
import { FilesSweeper, SweepTools } from './maintenance/sweeper';
import { IncomingContents } from './operations/staged-content';
import { UploadLinkRedemptions } from './operations/upload-link-redemptions';
import { FileLinks } from './operations/file-links';
import { FileLinksController } from './http/file-links.controller';
import { LinkContentController } from './http/link-content.controller';
import { LinkPageController } from './http/link-page.controller';
import { UploadLinksController } from './http/upload-links.controller';
import { NewFiles } from './operations/pending-file';
import { FilesUserData } from './user-data';
import { ReceivedFiles } from './operations/received-files';
import { ReceivedGrantsController } from './http/received-grants.controller';
import { FileScrubber } from './maintenance/scrub/file-scrubber';
import { ScrubJob } from './maintenance/scrub/scrub.job';
import { ScrubSchedule } from './maintenance/scrub/scrub-schedule';
import { Scrubs } from './maintenance/scrub/scrub.service';
import { ScrubsController } from './maintenance/scrub/scrub.controller';
import * as uploads from './resumable';
import { QuotaLedger } from './content/quota-ledger';

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
    uploads.UploadsController,
    ScrubsController,
  ],
  providers: [
    { provide: FileMessages, useFactory: () => new FileMessages() },
    BlobOwnership,
    ContentCheck,
    UploadLinkRedemptions,
    FileAccess,
    FileChanges,
    FileContents,
    FileDeletion,
    FileLinks,
    FileListing,
    FileRekey,
    FileRemoval,
    FileScrubber,
    FileReplacements,
    FileSharing,
    FileTraces,
    FileUploads,
    FileVerification,
    FileVersions,
    ProcessIdentity,
    FilesService,
    FilesSweeper,
    IncomingContents,
    NewFiles,
    SweepTools,
    FilesUserData,
    ReceivedFiles,
    ScrubJob,
    ScrubSchedule,
    Scrubs,
    QuotaLedger,
    ...uploads.UPLOAD_PROVIDERS,
  ],
  exports: [FilesUserData, uploads.UploadsUserData],
})
export class FilesModule implements OnApplicationShutdown {
  constructor(private readonly messages: FileMessages) {}

  /** The worker threads end after the last transfer. */
  onApplicationShutdown(): Promise<void> {
    return this.messages.close();
  }
}
