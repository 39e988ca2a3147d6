import { Injectable } from '@nestjs/common';
import { Clock, failpoint } from '../../kernel';
import { Collection, Store, update } from '../../store';
import { FileRemoval } from '../operations/file-removal';
import { StagedParts } from './staged-parts';
import { atRest } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/**
 * How an upload goes, in an order that may stop anywhere and be taken up again: the row's state first, which ends each attempt, then the
 * file that was to come with its key and its share of the quota, the segments, and the row itself.
 */
@Injectable()
export class UploadRemoval {
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly removal: FileRemoval,
    private readonly segments: StagedParts,
    private readonly clock: Clock,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /** @returns the row for `finish`; undefined where `applies` does not hold (any more). */
  async begin(uploadId: string, applies: (row: UploadDoc) => boolean): Promise<UploadDoc | undefined> {
    const outcome = { begun: false };
    const row = await update(this.#rows, uploadId, (current) => {
      outcome.begun = applies(current);
      // Due at once: where this stops half-way the sweeper goes on.
      return outcome.begun ? { ...atRest(current), state: 'ended' as const, expires_at: this.clock.now() } : undefined;
    });
    failpoint('upload.ended');
    return outcome.begun ? row : undefined;
  }

  /** Takes an upload that `begin` ended to its end. May be repeated, and by several at once. */
  async finish(upload: UploadDoc): Promise<void> {
    const file = await this.removal.begin(upload._id, (row) => row.state === 'pending');
    if (file !== undefined) await this.removal.finish(file);
    failpoint('upload.file-removed');
    await this.segments.dropAll(upload._id);
    failpoint('upload.segments-removed');
    await this.#rows.remove(upload._id);
  }
}
