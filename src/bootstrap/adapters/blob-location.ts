import { Injectable } from '@nestjs/common';
import { BlobRelocation, BlobRelocations } from '../../blobs/relocation';
import {
  adoptBlobLocation,
  beginBlobMove,
  endBlobMove,
  readBlobPlacement,
  recordBlobLocation,
} from '../../installation';
import { Store } from '../../store';

/** Where blobs lie, by the installation document. */
@Injectable()
export class InstallationBlobRelocations extends BlobRelocations {
  constructor(private readonly store: Store) {
    super();
  }

  current(): Promise<BlobRelocation> {
    return readBlobPlacement(this.store);
  }

  begin(to: string, location: string): Promise<BlobRelocation> {
    return beginBlobMove(this.store, to, location);
  }

  end(to: string): Promise<BlobRelocation> {
    return endBlobMove(this.store, to);
  }

  record(name: string, location: string): Promise<BlobRelocation> {
    return recordBlobLocation(this.store, name, location);
  }

  adopt(name: string, location: string): Promise<BlobRelocation> {
    return adoptBlobLocation(this.store, name, location);
  }
}
