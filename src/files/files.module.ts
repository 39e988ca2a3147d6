import { Module, OnApplicationShutdown } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { FileContentController } from './file-content.controller';
import { FileAccess } from './file-access';
import { FileContents } from './file-contents';
import { FileListing } from './file-listing';
import { FileRemoval } from './file-removal';
import { FileUploads } from './file-uploads';
import { FileWorker } from './file-worker';
import { FilesController } from './files.controller';
import { FilesService } from './files.service';
import { FilesSweeper, SweepTools } from './files-sweeper';
import { NewFiles } from './new-files';
import { OwnedFiles } from './owned-files';
import * as uploads from './uploads';
import { UsageLedger } from './usage-ledger';

@Module({
  controllers: [FilesController, FileContentController, uploads.UploadsController],
  providers: [
    { provide: FileMessages, useFactory: () => new FileMessages() },
    FileAccess,
    FileContents,
    FileListing,
    FileRemoval,
    FileUploads,
    FileWorker,
    FilesService,
    FilesSweeper,
    NewFiles,
    SweepTools,
    OwnedFiles,
    UsageLedger,
    ...uploads.UPLOAD_PROVIDERS,
  ],
  exports: [OwnedFiles, uploads.OwnedUploads],
})
export class FilesModule implements OnApplicationShutdown {
  constructor(private readonly messages: FileMessages) {}

  /** The worker threads end after the last transfer. */
  onApplicationShutdown(): Promise<void> {
    return this.messages.close();
  }
}
