import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { AuditSink, Clock, DAY, ErrorCollector, Principal, auditedAfterLook, failpoint } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { SharedResources } from '../../sharing';
import { Collection, Store, update } from '../../store';
import { BlobOwnership } from '../content/blob-ownership';
import { ProcessIdentity } from '../content/keepalive';
import { QuotaLedger, Share } from '../content/quota-ledger';
import { Precondition, requireHolds } from '../model/etag';
import { fileNotFound } from '../model/file';
import { ActiveFile, FileDoc, OtherContent, fileCollection, isInTrash, isVisible } from '../model/file.collection';
import { Stamp, asDropped, droppedIn, dropping, usageMark, without } from '../model/versions';
import { FileAccess } from './access';

/**
 * Removes files, failed uploads and single contents, in an order that may stop anywhere and be
 * resumed: the row first, which ends each access and drops the keys, then the shares of the quota,
 * the blobs, and the row itself.
 */
@Injectable()
export class FileRemoval {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly blobs: BlobOwnership,
    private readonly usage: QuotaLedger,
    private readonly worker: ProcessIdentity,
    private readonly shared: SharedResources,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * From here on nobody sees the file, its name is free and its keys are gone. `applies` is asked
   * about the row that this write replaces, in each attempt; its errors end the removal.
   * @returns the row for `finish`; undefined where it does not apply.
   */
  async begin(fileId: string, applies: (row: FileDoc) => boolean | Promise<boolean>): Promise<FileDoc | undefined> {
    const outcome = { begun: false };
    const row = await update(this.#files, fileId, async (current) => {
      outcome.begun = current.state !== 'deleting' && (await applies(current));
      return outcome.begun ? this.#deleting(current) : undefined;
    });
    failpoint('file.deleting');
    return outcome.begun ? row : undefined;
  }

  /**
   * Completes removals that `begin` began, past those that fail. Safe to repeat, and for several at
   * once.
   */
  async finish(...rows: readonly FileDoc[]): Promise<void> {
    const faults = new ErrorCollector();
    const owners = new Set(rows.map(({ owner_id }) => owner_id));
    for (const ownerId of owners) {
      await faults.run(() =>
        this.#finishOf(
          ownerId,
          rows.filter(({ owner_id }) => owner_id === ownerId),
        ),
      );
    }
    faults.throwFirst();
  }

  /**
   * Moves a visible file to the trash, where nobody reads it; its name is free. `check` throws
   * where the row that this write replaces is not the one that the caller means. False where the
   * file is not visible.
   */
  async trash(fileId: string, purgeAt: number, check?: (row: ActiveFile) => Promise<void>): Promise<boolean> {
    const outcome = { trashed: false };
    await update(this.#files, fileId, async (row) => {
      outcome.trashed = false;
      if (!isVisible(row, this.clock.now())) return undefined;
      await check?.(row);
      outcome.trashed = true;
      return this.#inTrash(row, purgeAt);
    });
    failpoint('file.trashed');
    return outcome.trashed;
  }

  /**
   * Drops single contents of a file that stays, and clears them away. `check` as for `trash`.
   * @returns whether there were any, and the row afterwards.
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

  /** Clears away dropped contents of a file that stays. Safe to repeat. */
  async finishContents(file: FileDoc, contents: readonly OtherContent[]): Promise<void> {
    if (contents.length === 0) return;
    for (const content of contents) await this.#clear(file, content);
    const blobIds = new Set(contents.map((content) => content.blob_id));
    const left = await update(this.#files, file._id, (row) =>
      row.state === 'deleting' ? undefined : without(row, blobIds),
    );
    // The removal of the file removes these too: the marks say which shares have been given back.
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
    await this.blobs.removeBlob(blobId);
    if (rekeyed) return;
    const mark = usageMark(file._id, version);
    await this.usage.release(file.owner_id, [{ mark, bytes: undefined }]);
    await this.usage.settle(file.owner_id, mark);
  }

  /** Who works on what is being dropped. */
  stamp(): Stamp {
    return { heartbeat_at: this.clock.now(), worker: this.worker.id };
  }

  /**
   * Gives back the shares of all rows by one write: thousands of files that go together would queue
   * up for it.
   */
  async #finishOf(ownerId: string, rows: readonly FileDoc[]): Promise<void> {
    await this.usage.releaseFound(ownerId, async () => (await this.#stillThere(rows)).flatMap(sharesOf));
    failpoint('file.released');
    const faults = new ErrorCollector();
    const gone: FileDoc[] = [];
    const erase = async (row: FileDoc): Promise<void> => {
      await this.#erase(row);
      gone.push(row);
    };
    await Promise.all(rows.map((row) => faults.run(() => erase(row))));
    await this.usage.settle(ownerId, ...gone.flatMap(marksOf));
    faults.throwFirst();
  }

  /**
   * A process that slept may find that others removed its rows and marks: it must not give back
   * their shares again.
   */
  async #stillThere(rows: readonly FileDoc[]): Promise<FileDoc[]> {
    const current = await Promise.all(rows.map(({ _id }) => this.#files.find('_id', _id)));
    return current.filter((row) => row?.state === 'deleting') as FileDoc[];
  }

  async #erase(row: FileDoc): Promise<void> {
    await this.shared.forget({ type: 'file', id: row._id });
    for (const { blob_id } of [...(row.others ?? []), row]) await this.blobs.removeBlob(blob_id);
    failpoint('file.blob-removed');
    await this.#files.remove(row._id);
  }

  async #clear(file: FileDoc, content: OtherContent): Promise<void> {
    if (content.rekeyed !== true) {
      await this.usage.releaseFound(file.owner_id, async () => {
        const row = await this.#files.find('_id', file._id);
        const isThere = row !== undefined && droppedIn(row).some(({ blob_id }) => blob_id === content.blob_id);
        return isThere ? [shareOf(file, content)] : [];
      });
    }
    failpoint('file.content-released');
    await this.blobs.removeBlob(content.blob_id);
    failpoint('file.content-removed');
  }

  #deleting(row: FileDoc): FileDoc {
    const { name_index: _name, file_key: _key, meta: _meta, expires_at: _expiry, purge_at: _purge, ...rest } = row;
    const stamp = this.stamp();
    const others = row.others?.map((content) => asDropped(content, stamp));
    return { ...rest, ...(others !== undefined && { others }), ...stamp, state: 'deleting' };
  }

  #inTrash(row: ActiveFile, purgeAt: number): FileDoc {
    const { name_index: _name, ...rest } = row;
    return { ...rest, state: 'trashed', trashed_at: this.clock.now(), purge_at: purgeAt };
  }
}

const shareOf = (file: FileDoc, { version, size }: FileDoc | OtherContent): Share => ({
  mark: usageMark(file._id, version),
  bytes: size,
});

/** A content of a rekey takes no share beside its version. */
const sharesOf = (row: FileDoc): Share[] =>
  [...(row.others ?? []).filter(({ rekeyed }) => rekeyed !== true), row].map((content) => shareOf(row, content));

const marksOf = (row: FileDoc): string[] =>
  [row, ...(row.others ?? [])].map(({ version }) => usageMark(row._id, version));

export interface Removal {
  /** The request's If-Match, where it has one. */
  readonly holds?: Precondition | undefined;
  readonly permanent?: boolean;
}

/**
 * Deletes a file: to the trash where there is one, or for good. A repeated request leaves the file
 * in the trash.
 */
@Injectable()
export class DeleteFile {
  readonly #trashMs: number;

  constructor(
    private readonly access: FileAccess,
    private readonly removal: FileRemoval,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
    @Inject(CONFIG) config: Config,
  ) {
    this.#trashMs = config.files.trashDays * DAY;
  }

  /**
   * @throws DomainError `file_not_found`, `permission_denied`, `precondition_failed`,
   * `integrity_failed`.
   */
  async remove(caller: Principal, id: string, { holds, permanent = false }: Removal = {}): Promise<void> {
    const isForGood = permanent || this.#trashMs === 0;
    const trashed = await this.access.trashed(caller, id);
    if (!isForGood && trashed !== undefined) return requireHolds(this.sealer, trashed, holds);
    const what = { actor: caller.actor, resource: `file/${id}` };
    await auditedAfterLook(this.audit, { action: isForGood ? 'file.delete' : 'file.trash', ...what }, async (begin) => {
      // The write asks `holds` again.
      await requireHolds(this.sealer, trashed ?? (await this.access.owned(caller, { id })), holds);
      await begin();
      await (isForGood ? this.#removeForGood(id, holds) : this.#moveToTrash(caller, id, holds));
    });
  }

  async #removeForGood(id: string, holds: Precondition | undefined): Promise<void> {
    const row = await this.removal.begin(id, async (current) => {
      const now = this.clock.now();
      if (!isVisible(current, now) && !isInTrash(current, now)) return false;
      await requireHolds(this.sealer, current, holds);
      return true;
    });
    if (row === undefined) throw fileNotFound();
    // The file is gone already; the sweeper clears away what this cannot.
    await this.removal.finish(row).catch(() => undefined);
  }

  async #moveToTrash(caller: Principal, id: string, holds: Precondition | undefined): Promise<void> {
    const purgeAt = this.clock.now() + this.#trashMs;
    if (await this.removal.trash(id, purgeAt, (current) => requireHolds(this.sealer, current, holds))) return;
    // A repeated request moved it a moment ago.
    if ((await this.access.trashed(caller, id)) === undefined) throw fileNotFound();
  }
}
