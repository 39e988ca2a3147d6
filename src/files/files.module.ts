import { Module, OnApplicationShutdown } from '@nestjs/common';
import { FileMessages } from '../crypto';
import { FileContentController } from './file-content.controller';
import { ContentCheck } from './content-check';
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
import { FileScrubber } from './scrub/file-scrubber';
import { ScrubJob } from './scrub/scrub-job';
import { ScrubSchedule } from './scrub/scrub-schedule';
import { Scrubs } from './scrub/scrubs';
import { ScrubsController } from './scrub/scrubs.controller';
import { UsageLedger } from './usage-ledger';

@Module({
  controllers: [FilesController, FileContentController, ScrubsController],
  providers: [
    { provide: FileMessages, useFactory: () => new FileMessages() },
    ContentCheck,
    FileAccess,
    FileContents,
    FileListing,
    FileRemoval,
    FileScrubber,
    FileUploads,
    FileWorker,
    FilesService,
    FilesSweeper,
    NewFiles,
    SweepTools,
    OwnedFiles,
    ScrubJob,
    ScrubSchedule,
    Scrubs,
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
