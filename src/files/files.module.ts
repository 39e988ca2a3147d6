import { Module, OnApplicationShutdown } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { SharingModule } from '../sharing';
import { FileContentController } from './file-content.controller';
import { FileAccess } from './file-access';
import { FileContents } from './file-contents';
import { FileGrantsController } from './file-grants.controller';
import { FileListing } from './file-listing';
import { FileRemoval } from './file-removal';
import { FileSharing } from './file-sharing';
import { FileUploads } from './file-uploads';
import { FileWorker } from './file-worker';
import { FilesController } from './files.controller';
import { FilesService } from './files.service';
import { FilesSweeper, SweepTools } from './files-sweeper';
import { DropBoxes } from './links/drop-boxes';
import { FileLinks } from './links/file-links';
import { FileLinksController } from './links/file-links.controller';
import { LinkContentController } from './links/link-content.controller';
import { LinkPageController } from './links/link-page.controller';
import { UploadLinksController } from './links/upload-links.controller';
import { NewFiles } from './new-files';
import { OwnedFiles } from './owned-files';
import { UsageLedger } from './usage-ledger';

@Module({
  imports: [SharingModule],
  controllers: [
    FilesController,
    FileContentController,
    FileGrantsController,
    FileLinksController,
    LinkContentController,
    LinkPageController,
    UploadLinksController,
  ],
  providers: [
    { provide: FileMessages, useFactory: () => new FileMessages() },
    DropBoxes,
    FileAccess,
    FileContents,
    FileLinks,
    FileListing,
    FileRemoval,
    FileSharing,
    FileUploads,
    FileWorker,
    FilesService,
    FilesSweeper,
    NewFiles,
    SweepTools,
    OwnedFiles,
    UsageLedger,
  ],
  exports: [OwnedFiles],
})
export class FilesModule implements OnApplicationShutdown {
  constructor(private readonly messages: FileMessages) {}

  /** The worker threads end after the last transfer. */
  onApplicationShutdown(): Promise<void> {
    return this.messages.close();
  }
}
