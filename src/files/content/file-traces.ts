import { Injectable } from '@nestjs/common';
import { SharedResources } from '../../sharing/index';
import { BlobOwnership } from './blob-ownership';

/** What names a file or a blob besides the file's own row, and goes with it. Each may be repeated. */
@Injectable()
export class FileTraces {
  constructor(
    private readonly shared: SharedResources,
    private readonly refs: BlobOwnership,
  ) {}

  /** Grants and links: a file that nobody can have any more is shared with nobody. */
  ofFile(fileId: string): Promise<void> {
    return this.shared.forget({ type: 'file', id: fileId });
  }

  /** The reference to a blob that is gone. */
  ofBlob(blobId: string): Promise<void> {
    return this.refs.release(blobId);
  }
}
