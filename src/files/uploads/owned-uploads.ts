import { Injectable } from '@nestjs/common';
import { AuditSink, UserOwned, isDomainError } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user';
import { Collection, ListOptions, Store } from '../../store';
import { StagedSegments } from './staged-segments';
import { resealedUpload } from './upload-cipher';
import { UploadRemoval } from './upload-removal';
import { UploadDoc, uploadCollection } from './upload.collection';

const BATCH = 100;

/** What happens to a user's uploads when the user's key changes or the account goes. Names and file keys are in the rows of files. */
@Injectable()
export class OwnedUploads implements UserOwned {
  readonly name = 'uploads';
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: UploadRemoval,
    private readonly segments: StagedSegments,
    private readonly audit: AuditSink,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /** Uploads wrap no key themselves. */
  rewrap(): Promise<number> {
    return Promise.resolve(0);
  }

  async reseal(userId: string): Promise<number> {
    const failed = new Set<string>();
    let total = 0;
    for (;;) {
      const resealed = await this.resealOnce(userId, failed);
      if (resealed === 0) break;
      total += resealed;
    }
    for (const id of failed) this.report(id);
    return total;
  }

  countUnder(userId: string, version: number): Promise<number> {
    return this.#rows.count('seal_version', [userId, version]);
  }

  /** Needs no key. Attempts under way find their row gone. */
  async erase(userId: string): Promise<number> {
    let erased = 0;
    for (;;) {
      const forged: string[] = [];
      const page = await this.#rows.list('owner', [userId], { limit: BATCH, onForged: (id) => forged.push(id) });
      for (const row of page.items) await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
      for (const id of forged) await this.eraseForged(id);
      erased += page.items.length + forged.length;
      if (page.items.length + forged.length === 0 && page.next === undefined) return erased;
    }
  }

  /** The rows that say whose blobs they are have seals of their own. */
  private async eraseForged(id: string): Promise<void> {
    await this.segments.dropAll(id);
    await this.#rows.remove(id);
  }

  private async resealOnce(userId: string, failed: Set<string>): Promise<number> {
    let resealed = 0;
    for (let after: string | undefined; ;) {
      const options: ListOptions = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#rows.list('seal_version', [userId], options);
      const { count, current } = await this.sealer.with(userId, async (keys) => {
        const old = page.items.filter((row) => row.seal_version < keys.version);
        const changed = old.flatMap((row) => resealedRow(keys, row, failed));
        return { count: await this.#rows.replaceMany(changed), current: old.length < page.items.length };
      });
      resealed += count;
      if (current || page.next === undefined) return resealed;
      after = page.next;
    }
  }

  private report(id: string): void {
    const what = { action: 'file.rewrap', actor: 'system:files', resource: `upload/${id}` } as const;
    this.audit.note({ ...what, details: { code: 'decryption_failed' } }, 'failed');
  }
}

/** An envelope that does not open stays as it is: it keeps its key version in use. */
function resealedRow(keys: OwnerKeys, row: UploadDoc, failed: Set<string>): UploadDoc[] {
  try {
    return [resealedUpload(keys, row)];
  } catch (error) {
    if (!isDomainError(error, 'decryption_failed')) throw error;
    failed.add(row._id);
    return [];
  }
}
