import { Injectable } from '@nestjs/common';
import { FileSummary } from '../../crypto/index';
import { ChunkBatch, Clock, DomainError, SecretBytes, failpoint } from '../../kernel/index';
import { OwnerKeys, Sealer } from '../../keys/user-keys/index';
import { Collection, Store, retryOnConflict } from '../../store/index';
import { BlobOwnership } from '../content/blob-ownership';
import { MAX_INCOMING, Stamp, droppedIn, incomingIn, namesBlob, touched, withIncoming } from '../model/versions';
import { fileNotFound, newFileKey } from '../model/file-encryption';
import { FileContents } from '../content/content-store';
import { FileRemoval } from './file-removal';
import { ActiveFile, FileDoc, OtherContent, fileCollection, isVisible } from '../model/file.collection';
import { Keepalive, KeepaliveTouch, uploadGone } from '../content/keepalive';
import { newBlobId } from './pending-file';

/** What is to come into a file: a new version, or (`rekeyed`) the content of a version once more, under another file key. */
export interface PlannedContent {
  readonly version: number;
  readonly clientEncrypted: boolean;
  readonly rekeyed: boolean;
}

/** A place in a file's row that waits for its content, and the key to encrypt that with. */
export interface IncomingContent {
  readonly fileId: string;
  readonly ownerId: string;
  readonly version: number;
  readonly blobId: string;
  readonly key: SecretBytes;
  readonly rekeyed: boolean;
}

/** How a row is changed when its incoming content has arrived; undefined for not at all. */
export type Swap = (keys: OwnerKeys, row: ActiveFile, incoming: OtherContent, stamp: Stamp) => ActiveFile | undefined;

/**
 * Contents that come into a file that is there already. Their keys and blobs are named in the file's row before a byte is stored, and one
 * conditional write makes them what readers see: until then these read what was there before. The row is read before Sealer.with reads the key
 * row, as the wrap protocol asks for rows that are changed.
 */
@Injectable()
export class IncomingContents {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly contents: FileContents,
    private readonly refs: BlobOwnership,
    private readonly removal: FileRemoval,
    private readonly clock: Clock,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /**
   * Takes a place. `plan` looks at the row as it is and may refuse by throwing, or give up with undefined. The caller destroys the key.
   * @throws DomainError `file_not_found`, `conflict`; what `plan` throws.
   */
  async open(
    fileId: string,
    plan: (keys: OwnerKeys, row: ActiveFile) => PlannedContent | undefined,
  ): Promise<IncomingContent | undefined> {
    const { incoming } = await retryOnConflict(() => this.tryOpen(fileId, plan));
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

  /** Encrypts the content into its blob, and says meanwhile that it still comes. Resolves when the blob is durable. Destroys the key. */
  async write(incoming: IncomingContent, content: AsyncIterable<ChunkBatch>): Promise<FileSummary> {
    const { fileId, ownerId, version, blobId, key } = incoming;
    const touch: KeepaliveTouch = (row, now) => touched(row, blobId, now);
    const heartbeat = new Keepalive(this.#files, fileId, () => this.clock.now(), touch);
    try {
      const place = { _id: fileId, owner_id: ownerId, version, blob_id: blobId };
      return await this.contents.write(place, key, heartbeat.guard(content));
    } finally {
      heartbeat.stop();
    }
  }

  /**
   * Puts the content in its place. What it drops is cleared away at once, or else by the sweeper.
   * @throws DomainError `file_not_found` (removed meanwhile), `conflict`; what `change` throws.
   */
  async swap(incoming: IncomingContent, change: Swap): Promise<ActiveFile | undefined> {
    const { before, after } = await retryOnConflict(() => this.trySwap(incoming, change));
    failpoint('file.swapped');
    if (after === undefined) return undefined;
    const dropped = droppedIn(after).filter(({ blob_id }) => !droppedIn(before).some((old) => old.blob_id === blob_id));
    await this.removal.finishContents(after, dropped).catch(() => undefined);
    return after;
  }

  /**
   * Ends what did not come to its place. Never throws, the error that led here is the one to tell; where the store does not answer, the
   * sweeper does this later.
   */
  async abandon({ key, fileId, ownerId, ...content }: IncomingContent): Promise<void> {
    key.destroy();
    try {
      const { row } = await this.removal.dropContents(
        fileId,
        (other) => other.state === 'incoming' && other.blob_id === content.blobId,
      );
      // A swap that was made although its answer did not come. Or the file went and took the place with it, but not what was written after.
      if (row !== undefined && row.state !== 'deleting' && namesBlob(row, content.blobId)) return;
      await this.removal.clearStray({ _id: fileId, owner_id: ownerId }, content);
    } catch {
      return;
    }
  }

  private async tryOpen(
    fileId: string,
    plan: (keys: OwnerKeys, row: ActiveFile) => PlannedContent | undefined,
  ): Promise<{ readonly incoming: IncomingContent | undefined } | undefined> {
    const row = await this.visible(fileId);
    const taken = await this.sealer.with(row.owner_id, (keys) => this.place(keys, row, plan));
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

  private place(
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

  private async trySwap(
    { fileId, blobId }: IncomingContent,
    change: Swap,
  ): Promise<{ readonly before: ActiveFile; readonly after: ActiveFile | undefined } | undefined> {
    const before = await this.visible(fileId);
    const incoming = incomingIn(before, blobId);
    if (incoming === undefined) throw uploadGone();
    // What is the current content now may be another one in a moment: it has its reference before.
    await this.refs.claim(before.blob_id, before);
    const stamp = this.removal.stamp();
    const changed = await this.sealer.with(before.owner_id, (keys) => change(keys, before, incoming, stamp));
    if (changed === undefined) return { before, after: undefined };
    const after = await this.#files.replace(changed);
    return after && { before, after: after as ActiveFile };
  }

  private async visible(fileId: string): Promise<ActiveFile> {
    const row = await this.#files.find('_id', fileId);
    if (!isVisible(row, this.clock.now())) throw fileNotFound();
    return row;
  }
}

const tooMany = (): DomainError =>
  new DomainError('conflict', { detail: 'Too many uploads to this file at the same time.', retryAfterSeconds: 5 });
