import { Injectable } from '@nestjs/common';
import { BlobStore } from '../../blobs';
import { FileMessages, newKey } from '../../crypto';
import { AuditSink, DomainError, audited, failpoint, isDomainError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store, update } from '../../store';
import { openName } from '../model/file-encryption';
import { contextOf } from '../content/content-store';
import { FileName } from '../model/file-name';
import { FileDoc, fileCollection } from '../model/file.collection';
import { NewFiles, StoredContent, newBlobId } from '../operations/pending-file';
import { StagedParts } from './staged-parts';
import { blobIdOf, hasStrayMessage, uploadNotFound } from './upload';
import { openDetails, openDigest } from './upload-cipher';
import { UploadDoc } from './upload.collection';

/** What else assembly works with. */
@Injectable()
export class AssemblyTools {
  constructor(
    readonly blobs: BlobStore,
    readonly messages: FileMessages,
    readonly segments: StagedParts,
  ) {}
}

/** Makes the file of an upload whose bytes are all there. Each step may be repeated, and by several at once. */
@Injectable()
export class Assembly {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly tools: AssemblyTools,
    private readonly newFiles: NewFiles,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** The one message of the upload becomes the file's as it is. */
  async promote(upload: UploadDoc): Promise<void> {
    const { length: size } = upload;
    const sha256 = await this.sealer.with(upload.owner_id, (keys) => openDigest(keys, upload));
    const encryptedSize = this.tools.segments.encryptedSize(upload, { attempt: 1, size });
    await this.activate(upload, { size, encryptedSize, sha256, blobId: blobIdOf(upload, 1) });
  }

  /**
   * Reads the segments through once into the file's own message, hashing. `hold` is asked before each write: it throws where somebody else
   * does this by now.
   */
  async assemble(upload: UploadDoc, hold: () => Promise<void>): Promise<void> {
    const file = await this.target(upload._id, hold);
    if (file === undefined) return;
    failpoint('assembly.begun');
    const key = await this.tools.segments.fileKey(upload._id);
    const ownKey = hasStrayMessage(upload) ? newKey() : undefined;
    try {
      const bytes = this.tools.segments.content(upload, key);
      const message = this.tools.messages.encrypt(ownKey ?? key, contextOf(file), bytes);
      await this.tools.blobs.put(file.blob_id, message);
      failpoint('assembly.stored');
      await hold();
      const { plaintextSize: size, encryptedSize, sha256 } = message.summary;
      if (size !== upload.length) throw new DomainError('decryption_failed');
      const stored = { size, encryptedSize, sha256, blobId: file.blob_id, isTarget: true };
      await this.activate(upload, ownKey === undefined ? stored : { ...stored, key: ownKey });
    } finally {
      key.destroy();
      ownKey?.destroy();
    }
    failpoint('assembly.active');
  }

  /** A blob of its own for each try: an earlier one may still be written to by a process that was held for dead. */
  private async target(uploadId: string, hold: () => Promise<void>): Promise<FileDoc | undefined> {
    await hold();
    let former: string | undefined;
    const file = await update(this.#files, uploadId, (row) => {
      // Of this look at the row alone: an earlier one may have been at a blob that is a file's by now.
      former = undefined;
      if (row.state !== 'pending') return undefined;
      former = row.blob_id;
      return { ...row, blob_id: newBlobId() };
    });
    if (file === undefined) throw uploadNotFound();
    if (former !== undefined) await this.tools.blobs.remove(former);
    return file.state === 'pending' ? file : undefined;
  }

  private async activate(
    upload: UploadDoc,
    content: Omit<StoredContent, 'facts'> & { readonly sha256: string; readonly blobId: string },
  ): Promise<void> {
    const file = await this.#files.find('_id', upload._id);
    if (file === undefined) throw uploadNotFound();
    if (file.state !== 'pending') return;
    const { name, details } = await this.sealer.with(upload.owner_id, (keys) => ({
      name: openName(keys, file) as FileName,
      details: openDetails(keys, upload),
    }));
    const { contentType, expiresInMs } = details;
    const facts = { contentType, sha256: content.sha256, envelope: undefined };
    const intent = { action: 'file.upload', actor: upload.owner_id, resource: `file/${upload._id}` } as const;
    await audited(this.audit, intent, async () => {
      await this.newFiles.activate(upload._id, { name, expiresInMs }, { ...content, facts }, 'keep-unnamed');
    }).catch((error: unknown) => this.unlessActive(upload._id, error));
  }

  /** Somebody else was faster, and made the same file. */
  private async unlessActive(fileId: string, error: unknown): Promise<void> {
    if (!isDomainError(error, 'conflict')) throw error;
    const file = await this.#files.find('_id', fileId);
    if (file?.state !== 'active' && file?.state !== 'trashed') throw error;
  }
}
