import { Injectable } from '@nestjs/common';
import { FileSummary } from '../../crypto';
import { ChunkBatch, Clock, DomainError, SecretBytes, failpoint } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { Collection, Store, retryOnConflict } from '../../store';
import { BlobOwnership } from '../content/blob-ownership';
import { ContentStore } from '../content/content-store';
import { Keepalive } from '../content/keepalive';
import { Guard, abortWhenLost, guarded } from '../content/pipeline';
import { fileNotFound, uploadGone } from '../model/file';
import { newFileKey } from '../model/file-encryption';
import { ActiveFile, FileDoc, OtherContent, fileCollection, isVisible } from '../model/file.collection';
import { MAX_INCOMING, Stamp, droppedIn, incomingIn, namesBlob, touched, withIncoming } from '../model/versions';
import { FileRemoval } from './delete-file';
import { BEAT_EVERY, newBlobId, touchRow } from './pending-file';

/** A new version of a file, or (`rekeyed`) the content of a version under another file key. */
export interface PlannedContent {
  readonly version: number;
  readonly clientEncrypted: boolean;
  readonly rekeyed: boolean;
}

/** An entry in a file's row that waits for its content, and the key to encrypt it with. */
export interface IncomingContent {
  readonly fileId: string;
  readonly ownerId: string;
  readonly version: number;
  readonly blobId: string;
  readonly key: SecretBytes;
  readonly rekeyed: boolean;
}

/** The row after its incoming content has arrived; undefined where nothing is to change. */
export type Swap = (keys: OwnerKeys, row: ActiveFile, incoming: OtherContent, stamp: Stamp) => ActiveFile | undefined;

/**
 * New contents of existing files. The file's row names their keys and blobs before a byte is
 * stored, and one conditional write makes them current: until then readers see the previous
 * content. By the wrap protocol the row is read before Sealer.with reads the key row.
 */
@Injectable()
export class StagedContents {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly contents: ContentStore,
    private readonly refs: BlobOwnership,
    private readonly removal: FileRemoval,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * Adds an entry to the row. `plan` may refuse the row by throwing, or give up with undefined. The
   * caller destroys the key.
   * @throws DomainError `file_not_found`, `conflict`; what `plan` throws.
   */
  async open(
    fileId: string,
    plan: (keys: OwnerKeys, row: ActiveFile) => PlannedContent | undefined,
  ): Promise<IncomingContent | undefined> {
    const { incoming } = await retryOnConflict(() => this.#tryOpen(fileId, plan));
    if (incoming === undefined) return undefined;
    failpoint('file.incoming');
    try {
      await this.refs.claim(incoming.blobId, { _id: fileId, owner_id: incoming.ownerId });
    } catch (error) {
      await this.abandon(incoming);
      throw error;
    }
    return incoming;
  }

  /**
   * Encrypts the content into its blob, with signs of life in the row meanwhile. Resolves when the
   * blob is durable. Destroys the key.
   */
  async write(
    { fileId, ownerId, version, blobId, key }: IncomingContent,
    body: AsyncIterable<ChunkBatch>,
    ...guards: readonly Guard[]
  ): Promise<FileSummary> {
    const target = { _id: fileId, owner_id: ownerId, version, blob_id: blobId };
    const keepalive = this.#keepAlive(fileId, blobId);
    const content = guarded(body, ...guards, abortWhenLost(keepalive));
    const message = this.contents.encrypt(target, key, content);
    return this.contents.store(target, message).finally(() => keepalive.stop());
  }

  /**
   * Makes the content current. Clears away at once what this drops, or leaves it to the sweeper.
   * @throws DomainError `file_not_found` (removed meanwhile), `conflict`; what `change` throws.
   */
  async swap(incoming: IncomingContent, change: Swap): Promise<ActiveFile | undefined> {
    const { before, after } = await retryOnConflict(() => this.#trySwap(incoming, change));
    failpoint('file.swapped');
    if (after === undefined) return undefined;
    const dropped = droppedIn(after).filter(({ blob_id }) => !droppedIn(before).some((old) => old.blob_id === blob_id));
    await this.removal.finishContents(after, dropped).catch(() => undefined);
    return after;
  }

  /**
   * Removes a content that did not become current. Never throws, so that the caller reports the
   * first error.
   */
  async abandon({ key, fileId, ownerId, ...content }: IncomingContent): Promise<void> {
    key.destroy();
    try {
      const { row } = await this.removal.dropContents(
        fileId,
        (other) => other.state === 'incoming' && other.blob_id === content.blobId,
      );
      // The swap succeeded although it was reported as failed. Otherwise the file was removed,
      // without what was written since.
      if (row !== undefined && row.state !== 'deleting' && namesBlob(row, content.blobId)) return;
      await this.removal.clearStray({ _id: fileId, owner_id: ownerId }, content);
    } catch {
      return;
    }
  }

  #keepAlive(fileId: string, blobId: string): Keepalive {
    const touch = (row: FileDoc): FileDoc | undefined => touched(row, blobId, this.clock.now());
    return new Keepalive({ everyMs: BEAT_EVERY, beat: () => touchRow(this.#files, fileId, touch) });
  }

  async #tryOpen(
    fileId: string,
    plan: (keys: OwnerKeys, row: ActiveFile) => PlannedContent | undefined,
  ): Promise<{ readonly incoming: IncomingContent | undefined } | undefined> {
    const row = await this.#visible(fileId);
    const taken = await this.sealer.with(row.owner_id, (keys) => this.#place(keys, row, plan));
    if (taken === undefined) return { incoming: undefined };
    const { key, content, wrapVersion } = taken;
    const changed = { ...withIncoming(row, content), wrap_version: Math.min(row.wrap_version, wrapVersion) };
    const stored = await this.#files.replace(changed).catch((error: unknown) => {
      key.destroy();
      throw error;
    });
    if (stored === undefined) key.destroy();
    const { version, blob_id: blobId } = content;
    const rekeyed = content.rekeyed === true;
    return stored && { incoming: { fileId, ownerId: row.owner_id, version, blobId, key, rekeyed } };
  }

  #place(
    keys: OwnerKeys,
    row: ActiveFile,
    plan: (keys: OwnerKeys, row: ActiveFile) => PlannedContent | undefined,
  ): { readonly key: SecretBytes; readonly content: OtherContent; readonly wrapVersion: number } | undefined {
    const planned = plan(keys, row);
    if (planned === undefined) return undefined;
    if ((row.others ?? []).filter(({ state }) => state === 'incoming').length >= MAX_INCOMING) throw tooMany();
    const { version, clientEncrypted, rekeyed } = planned;
    const { key, wrapped } = newFileKey(keys, { _id: row._id, version });
    const stamp = this.removal.stamp();
    const content = {
      state: 'incoming' as const,
      version,
      blob_id: newBlobId(),
      file_key: wrapped,
      client_encrypted: clientEncrypted,
      ...(rekeyed && { rekeyed }),
      modified_at: stamp.heartbeat_at,
      ...stamp,
    };
    return { key, content, wrapVersion: keys.version };
  }

  async #trySwap(
    { fileId, blobId }: IncomingContent,
    change: Swap,
  ): Promise<{ readonly before: ActiveFile; readonly after: ActiveFile | undefined } | undefined> {
    const before = await this.#visible(fileId);
    const incoming = incomingIn(before, blobId);
    if (incoming === undefined) throw uploadGone();
    // The current content is about to become an earlier one, and needs its reference before that.
    await this.refs.claim(before.blob_id, before);
    const stamp = this.removal.stamp();
    const changed = await this.sealer.with(before.owner_id, (keys) => change(keys, before, incoming, stamp));
    if (changed === undefined) return { before, after: undefined };
    const after = await this.#files.replace(changed);
    return after && { before, after: after as ActiveFile };
  }

  async #visible(fileId: string): Promise<ActiveFile> {
    const row = await this.#files.find('_id', fileId);
    if (!isVisible(row, this.clock.now())) throw fileNotFound();
    return row;
  }
}

const tooMany = (): DomainError =>
  new DomainError('conflict', { detail: 'Too many uploads to this file at the same time.', retryAfterSeconds: 5 });
