import { Injectable } from '@nestjs/common';
import { AuditSink, UserOwned, isDomainError } from '../kernel';
import { OwnerKeys, Sealer } from '../keys/user';
import { Collection, Store } from '../store';
import { resealed, rewrapped } from './file-cipher';
import { FileRemoval } from './file-removal';
import { FileDoc, fileCollection } from './file.collection';
import { UsageLedger } from './usage-ledger';

const BATCH = 100;

type Renewal = (keys: OwnerKeys, row: FileDoc) => FileDoc;

interface Pass {
  readonly field: 'wrap_version' | 'seal_version';
  /** The row to store, or none. */
  readonly renew: (keys: OwnerKeys, row: FileDoc) => FileDoc[];
}

/** What happens to a user's files when the user's key changes or the account goes. Blobs are never rewritten: their keys are. */
@Injectable()
export class OwnedFiles implements UserOwned {
  readonly name = 'files';
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly removal: FileRemoval,
    private readonly usage: UsageLedger,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  rewrap(userId: string): Promise<number> {
    return this.renewAll(userId, 'wrap_version', rewrapped);
  }

  reseal(userId: string): Promise<number> {
    return this.renewAll(userId, 'seal_version', resealed);
  }

  async countUnder(userId: string, version: number): Promise<number> {
    const counts = ['wrap_version', 'seal_version'].map((index) => this.#files.count(index, [userId, version]));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** Needs no key: it works after the user's key has been destroyed as well. Uploads under way lose their rows and end. */
  async erase(userId: string): Promise<number> {
    let erased = 0;
    for (;;) {
      const forged: string[] = [];
      const page = await this.#files.list('owner', [userId], { limit: BATCH, onForged: (id) => forged.push(id) });
      for (const row of page.items) await this.eraseRow(row);
      // A row that does not hold its seal names no blob to be believed; the sweep of blobs without a row finds that.
      for (const id of forged) await this.#files.remove(id);
      erased += page.items.length + forged.length;
      if (page.items.length + forged.length === 0 && page.next === undefined) break;
    }
    await this.usage.erase(userId);
    return erased;
  }

  private async eraseRow(row: FileDoc): Promise<void> {
    await this.removal.finish((await this.removal.begin(row._id, () => true)) ?? row);
  }

  /** Passes over what an older version still holds, pending rows included, until one finds nothing more that it can renew. */
  private async renewAll(userId: string, field: Pass['field'], renew: Renewal): Promise<number> {
    const failed = new Set<string>();
    const pass = { field, renew: (keys: OwnerKeys, row: FileDoc) => this.renewedRow(keys, row, renew, failed) };
    let total = 0;
    for (;;) {
      const renewed = await this.renewOnce(userId, pass);
      if (renewed === 0) break;
      total += renewed;
    }
    for (const fileId of failed) this.report(fileId);
    return total;
  }

  private async renewOnce(userId: string, { field, renew }: Pass): Promise<number> {
    let renewed = 0;
    for (let after: string | undefined; ;) {
      const options = { limit: BATCH, onForged: () => undefined, ...(after !== undefined && { after }) };
      const page = await this.#files.list(field, [userId], options);
      // The rows were read before the key row: one that changes meanwhile is not held by its compare-and-set, and the next pass finds it.
      const { count, current } = await this.sealer.with(userId, async (keys) => {
        const old = page.items.filter((row) => row[field] < keys.version);
        const changed = old.flatMap((row) => renew(keys, row));
        return { count: await this.#files.replaceMany(changed), current: old.length < page.items.length };
      });
      renewed += count;
      if (current || page.next === undefined) return renewed;
      after = page.next;
    }
  }

  /** An envelope that does not open stays as it is: it keeps its key version in use. */
  private renewedRow(keys: OwnerKeys, row: FileDoc, renew: Renewal, failed: Set<string>): FileDoc[] {
    try {
      return [renew(keys, row)];
    } catch (error) {
      if (!isDomainError(error, 'decryption_failed')) throw error;
      failed.add(row._id);
      return [];
    }
  }

  private report(fileId: string): void {
    const what = { action: 'file.rewrap', actor: 'system:files', resource: `file/${fileId}` } as const;
    this.audit.note({ ...what, details: { code: 'decryption_failed' } }, 'failed');
  }
}
