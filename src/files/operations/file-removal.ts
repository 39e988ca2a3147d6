import { Injectable } from '@nestjs/common';
import { BlobStore } from '../../blobs/index';
import { Clock, ErrorCollector, failpoint } from '../../kernel/index';
import { Collection, Store, update } from '../../store/index';
import { Stamp, asDropped, droppedIn, dropping, usageMark, without } from '../model/versions';
import { FileTraces } from '../content/file-traces';
import { ProcessIdentity } from '../content/process-identity';
import { ActiveFile, FileDoc, OtherContent, fileCollection, isVisible } from '../model/file.collection';
import { Share, QuotaLedger } from '../content/quota-ledger';

/**
 * How a file goes, in an order that may stop anywhere and be taken up again: the row first, which ends each access and drops the keys, then the
 * shares of the quota, the blobs, and the row itself. Also for uploads that came to nothing, and in the same order for single contents.
 */
@Injectable()
export class FileRemoval {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobStore,
    private readonly usage: QuotaLedger,
    private readonly worker: ProcessIdentity,
    private readonly traces: FileTraces,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * From here on nobody sees the file, its name is free and its keys are gone. `applies` looks at the row that this write
   * replaces, in each attempt; what it throws ends the removal.
   * @returns the row for `finish`; undefined where it does not apply (any more).
   */
  async begin(fileId: string, applies: (row: FileDoc) => boolean | Promise<boolean>): Promise<FileDoc | undefined> {
    const outcome = { begun: false };
    const row = await update(this.#files, fileId, async (current) => {
      outcome.begun = current.state !== 'deleting' && (await applies(current));
      return outcome.begun ? this.deleting(current) : undefined;
    });
    failpoint('file.deleting');
    return outcome.begun ? row : undefined;
  }

  /** Takes rows that `begin` made to their end, past those where that fails. May be repeated, and by several at once. */
  async finish(...rows: readonly FileDoc[]): Promise<void> {
    const faults = new ErrorCollector();
    const owners = new Set(rows.map(({ owner_id }) => owner_id));
    for (const ownerId of owners) {
      await faults.run(() =>
        this.finishOf(
          ownerId,
          rows.filter(({ owner_id }) => owner_id === ownerId),
        ),
      );
    }
    faults.throwFirst();
  }

  /**
   * Moves a visible file to the trash: nobody reads it there, and its name is free. `check` throws where the row that this write
   * replaces is not the one that the caller means. False where the file is not visible (any more).
   */
  async trash(fileId: string, purgeAt: number, check?: (row: ActiveFile) => Promise<void>): Promise<boolean> {
    const outcome = { trashed: false };
    await update(this.#files, fileId, async (row) => {
      outcome.trashed = false;
      if (!isVisible(row, this.clock.now())) return undefined;
      await check?.(row);
      outcome.trashed = true;
      return this.inTrash(row, purgeAt);
    });
    failpoint('file.trashed');
    return outcome.trashed;
  }

  /**
   * Drops single contents of a file that stays, and clears them away. What cannot be cleared away now the sweeper takes.
   * `check` throws where the row that this write replaces is not the one that the caller means.
   * @returns whether there were any, and the row as it is then.
   */
  async dropContents(
    fileId: string,
    chosen: (content: OtherContent) => boolean,
    check?: (row: FileDoc) => Promise<void>,
  ): Promise<{ readonly found: boolean; readonly row: FileDoc | undefined }> {
    const blobIds = new Set<string>();
    const row = await update(this.#files, fileId, async (current) => {
      blobIds.clear();
      if (current.state === 'deleting') return undefined;
      for (const content of current.others ?? []) if (chosen(content)) blobIds.add(content.blob_id);
      if (blobIds.size > 0) await check?.(current);
      return dropping(current, blobIds, this.stamp());
    });
    failpoint('file.content-dropped');
    if (row === undefined || blobIds.size === 0) return { found: false, row };
    await this.finishContents(
      row,
      droppedIn(row).filter(({ blob_id }) => blobIds.has(blob_id)),
    );
    return { found: true, row: await this.#files.find('_id', fileId) };
  }

  /** Takes dropped contents of a file that stays to their end. May be repeated. */
  async finishContents(file: FileDoc, contents: readonly OtherContent[]): Promise<void> {
    if (contents.length === 0) return;
    for (const content of contents) await this.clear(file, content);
    const blobIds = new Set(contents.map((content) => content.blob_id));
    const left = await update(this.#files, file._id, (row) =>
      row.state === 'deleting' ? undefined : without(row, blobIds),
    );
    // Whoever removes the file takes these along: the marks say which shares have been given back.
    if (left?.state === 'deleting') return;
    const counted = contents.filter((content) => content.rekeyed !== true);
    if (counted.length === 0) return;
    await this.usage.settle(file.owner_id, ...counted.map(({ version }) => usageMark(file._id, version)));
  }

  /** Clears away what may have been written of a content that no row names. */
  async clearStray(
    file: Pick<FileDoc, '_id' | 'owner_id'>,
    { version, blobId, rekeyed }: { readonly version: number; readonly blobId: string; readonly rekeyed: boolean },
  ): Promise<void> {
    await this.blobs.remove(blobId);
    await this.traces.ofBlob(blobId);
    if (rekeyed) return;
    const mark = usageMark(file._id, version);
    await this.usage.release(file.owner_id, [{ mark, bytes: undefined }]);
    await this.usage.settle(file.owner_id, mark);
  }

  /** Who works on what is being dropped. */
  stamp(): Stamp {
    return { heartbeat_at: this.clock.now(), worker: this.worker.id };
  }

  /** The shares by one write for all, which is what thousands of files that go together would queue up for otherwise. */
  private async finishOf(ownerId: string, rows: readonly FileDoc[]): Promise<void> {
    await this.usage.releaseFound(ownerId, async () => (await this.stillThere(rows)).flatMap(sharesOf));
    failpoint('file.released');
    const faults = new ErrorCollector();
    const gone: FileDoc[] = [];
    const erase = async (row: FileDoc): Promise<void> => {
      await this.erase(row);
      gone.push(row);
    };
    await Promise.all(rows.map((row) => faults.run(() => erase(row))));
    await this.usage.settle(ownerId, ...gone.flatMap(marksOf));
    faults.throwFirst();
  }

  /** Who slept since the rows were read may find that others ended them, marks and all: their shares must not be given back once more. */
  private async stillThere(rows: readonly FileDoc[]): Promise<FileDoc[]> {
    const current = await Promise.all(rows.map(({ _id }) => this.#files.find('_id', _id)));
    return current.filter((row) => row?.state === 'deleting') as FileDoc[];
  }

  private async erase(row: FileDoc): Promise<void> {
    await this.traces.ofFile(row._id);
    for (const { blob_id } of [...(row.others ?? []), row]) {
      await this.blobs.remove(blob_id);
      await this.traces.ofBlob(blob_id);
    }
    failpoint('file.blob-removed');
    await this.#files.remove(row._id);
  }

  private async clear(file: FileDoc, content: OtherContent): Promise<void> {
    if (content.rekeyed !== true) {
      await this.usage.releaseFound(file.owner_id, async () => {
        const row = await this.#files.find('_id', file._id);
        const isThere = row !== undefined && droppedIn(row).some(({ blob_id }) => blob_id === content.blob_id);
        return isThere ? [shareOf(file, content)] : [];
      });
    }
    failpoint('file.content-released');
    await this.blobs.remove(content.blob_id);
    await this.traces.ofBlob(content.blob_id);
    failpoint('file.content-removed');
  }

  private deleting(row: FileDoc): FileDoc {
    const { name_index: _name, file_key: _key, meta: _meta, expires_at: _expiry, purge_at: _purge, ...rest } = row;
    const stamp = this.stamp();
    const others = row.others?.map((content) => asDropped(content, stamp));
    return { ...rest, ...(others !== undefined && { others }), ...stamp, state: 'deleting' };
  }

  private inTrash(row: ActiveFile, purgeAt: number): FileDoc {
    const { name_index: _name, ...rest } = row;
    return { ...rest, state: 'trashed', trashed_at: this.clock.now(), purge_at: purgeAt };
  }
}

const shareOf = (file: FileDoc, { version, size }: FileDoc | OtherContent): Share => ({
  mark: usageMark(file._id, version),
  bytes: size,
});

/** What a rekey was to replace, or did, takes no share beside its version. */
const sharesOf = (row: FileDoc): Share[] =>
  [...(row.others ?? []).filter(({ rekeyed }) => rekeyed !== true), row].map((content) => shareOf(row, content));

const marksOf = (row: FileDoc): string[] =>
  [row, ...(row.others ?? [])].map(({ version }) => usageMark(row._id, version));
