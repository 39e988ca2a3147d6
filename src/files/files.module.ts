import { Module, OnApplicationShutdown } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { QuotaModule } from '../quota';
import { SharingModule } from '../sharing';
import { BlobOwnership } from './blob-ownership';
import { ContentCheck } from './content-check';
import { FileAccess } from './file-access';
import { FileChanges } from './file-changes';
import { FileChangesController } from './file-changes.controller';
import { FileContentController } from './file-content.controller';
import { FileContents } from './file-contents';
import { FileDeletion } from './file-deletion';
import { FileGrantsController } from './file-grants.controller';
import { FileListing } from './file-listing';
import { FileRekey } from './file-rekey';
import { FileRemoval } from './file-removal';
import { FileReplacements } from './file-replacements';
import { FileSharing } from './file-sharing';
import { FileTraces } from './file-traces';
import { FileUploads } from './file-uploads';
import { FileVerification } from './file-verification';
import { FileVersions } from './file-versions';
import { FileVersionsController } from './file-versions.controller';
import { ProcessIdentity } from './process-identity';
import { FilesController } from './files.controller';
import { FilesService } from './files.service';
import { FilesSweeper, SweepTools } from './files-sweeper';
import { IncomingContents } from './incoming-contents';
import { UploadLinkRedemptions } from './links/upload-link-redemptions';
import { FileLinks } from './links/file-links';
import { FileLinksController } from './links/file-links.controller';
import { LinkContentController } from './links/link-content.controller';
import { LinkPageController } from './links/link-page.controller';
import { UploadLinksController } from './links/upload-links.controller';
import { NewFiles } from './new-files';
import { FilesUserData } from './files-user-data';
import { ReceivedFiles } from './received-files';
import { ReceivedGrantsController } from './received-grants.controller';
import { FileScrubber } from './scrub/file-scrubber';
import { ScrubJob } from './scrub/scrub-job';
import { ScrubSchedule } from './scrub/scrub-schedule';
import { Scrubs } from './scrub/scrubs';
import { ScrubsController } from './scrub/scrubs.controller';
import * as uploads from './resumable';
import { QuotaLedger } from './quota-ledger';

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
