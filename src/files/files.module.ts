import { Module, OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { BlobStore } from '../blobs';
import { FileMessages } from '../crypto';
import { Readiness } from '../kernel';
import { FileContentController } from './file-content.controller';
import { FileContents } from './file-contents';
import { FileRemoval } from './file-removal';
import { FileUploads } from './file-uploads';
import { FilesController } from './files.controller';
import { FilesService } from './files.service';
import { FilesSweeper } from './files-sweeper';
import { NewFiles } from './new-files';
import { OwnedFiles } from './owned-files';
import { UsageLedger } from './usage-ledger';

@Module({
  controllers: [FilesController, FileContentController],
  providers: [
    { provide: FileMessages, useFactory: () => new FileMessages() },
    FileContents,
    FileRemoval,
    FileUploads,
    FilesService,
    FilesSweeper,
    NewFiles,
    OwnedFiles,
    UsageLedger,
  ],
  exports: [OwnedFiles],
})
export class FilesModule implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly readiness: Readiness,
    private readonly blobs: BlobStore,
    private readonly messages: FileMessages,
  ) {}

  onModuleInit(): void {
    this.readiness.register({ name: 'blobs', check: () => this.blobs.ping() });
  }

  /** The worker threads end after the last transfer. */
  onApplicationShutdown(): Promise<void> {
    return this.messages.close();
  }
}
