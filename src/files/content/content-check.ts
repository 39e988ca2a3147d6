import { Injectable } from '@nestjs/common';
import { sha256Stream } from '../../crypto/index';
import { DomainError } from '../../kernel/index';
import { Sealer } from '../../keys/user-keys/index';
import { openFacts } from '../model/file-encryption';
import { FileContents } from './content-store';
import { ActiveFile } from '../model/file.collection';

/** Called for each piece that was read; what it waits for slows the reading down, and what it throws ends it. */
export type OnBytes = (bytes: number) => void | Promise<void>;

/** Reads one content through, as a download would, and holds it against what its row has sealed. */
@Injectable()
export class ContentCheck {
  constructor(
    private readonly contents: FileContents,
    private readonly sealer: Sealer,
  ) {}

  /**
   * Resolves with the content's size where each frame verifies and the SHA-256 is that of the upload.
   * @throws DomainError `decryption_failed`, `checksum_mismatch`, and as `FileContents.read`.
   */
  async readThrough(row: ActiveFile, onBytes: OnBytes = () => undefined): Promise<number> {
    const { sha256 } = await this.sealer.with(row.owner_id, (keys) => openFacts(keys, row));
    const hash = sha256Stream();
    let bytes = 0;
    for await (const piece of await this.contents.open(row, undefined)) {
      const { length } = piece as Buffer;
      hash.update(piece as Buffer);
      bytes += length;
      await onBytes(length);
    }
    if (bytes !== row.size) throw new DomainError('decryption_failed');
    if (hash.digest().toString('hex') !== sha256) throw new DomainError('checksum_mismatch');
    return bytes;
  }
}
