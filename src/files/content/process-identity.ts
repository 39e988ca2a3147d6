import { Injectable } from '@nestjs/common';
import { isGone, newLeaseOwner } from '../../jobs/index';

/** This process, as it signs the rows and contents that it works on: what it leaves when it dies is cleared away at once where that can be seen. */
@Injectable()
export class ProcessIdentity {
  readonly id = newLeaseOwner();

  /** True where the process that works on a row is known to be gone. False says nothing: it may run on another host. */
  isGone(row: { readonly worker?: string | undefined }): boolean {
    return row.worker !== undefined && isGone(row.worker, this.id);
  }
}
