import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { randomSecret } from '../../crypto';
import { Clock, MINUTE, failpoint } from '../../kernel';
import { OwnerKeys, Sealer } from '../../keys/user-keys';
import { Collection, Store, update } from '../../store';
import { checkSize } from '../content/pipeline';
import { QuotaLedger } from '../content/quota-ledger';
import { FileDoc, fileCollection } from '../model/file.collection';
import { PendingFiles } from '../operations/pending-file';
import { NewUpload } from './tus-headers';
import { sealDetails, uploadNotFound } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

const SEED_BYTES = 16;
/** What a crash leaves of a creation holds its share of the quota no longer than this. */
const NEW_EXPIRY = 5 * MINUTE;

/**
 * Makes an upload: its row, the pending row of its file with the file key, and the share of the
 * quota that it will need. The upload's row is the first and is given out when all of it is there,
 * so whatever stops this half-way leaves something that expires.
 */
@Injectable()
export class CreateUpload {
  readonly #rows: Collection<UploadDoc>;
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly pendingFiles: PendingFiles,
    private readonly usage: QuotaLedger,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.#rows = store.collection(uploadCollection);
    this.#files = store.collection(fileCollection);
  }

  /**
   * An early look: `open` decides about the quota, and the end of the upload about the name.
   * @throws DomainError `file_exists`, `too_large`
   */
  async check(ownerId: string, { length, file }: NewUpload): Promise<void> {
    checkSize(length, { largest: this.config.files.maxSize, quota: await this.usage.left(ownerId) });
    await this.pendingFiles.refuseTakenName(ownerId, file.name);
  }

  /** Stores the row in state `new`, under the wrap protocol. */
  async insert(uploadId: string, ownerId: string, request: NewUpload): Promise<UploadDoc> {
    const { contentType, expiresInMs } = request.file;
    const details = { contentType, metadata: request.metadata, ...(expiresInMs !== undefined && { expiresInMs }) };
    const sealed = (keys: OwnerKeys) => ({
      details: sealDetails(keys, { _id: uploadId }, details),
      seal_version: keys.version,
    });
    const row = await this.sealer.insert(ownerId, {
      pending: (keys) => this.#rows.insert({ ...this.#draft(uploadId, ownerId, request), ...sealed(keys) }),
      again: (stale, keys) => this.#change(stale._id, (current) => ({ ...current, ...sealed(keys) })),
      activate: (stored) => Promise.resolve(stored),
    });
    failpoint('upload.row-stored');
    return row;
  }

  /** Makes the rest of it, and opens it for bytes. @throws DomainError `quota_exceeded` */
  async open(upload: UploadDoc, request: NewUpload): Promise<UploadDoc> {
    const { _id: id, owner_id: ownerId, length } = upload;
    const { key } = await this.pendingFiles.open(id, ownerId, request.file, 'upload');
    key.destroy();
    await this.usage.add(ownerId, id, length);
    failpoint('upload.reserved');
    // From here on a removal of the row knows how much to give back, without the mark.
    const sized = await update(this.#files, id, (row) =>
      row.state === 'pending' ? { ...row, size: length } : undefined,
    );
    if (sized?.state === 'pending') await this.usage.settleAdded(ownerId, id);
    const expires_at = this.clock.now() + this.config.files.uploadExpiryMs;
    return this.#change(id, (row) => (row.state === 'new' ? { ...row, state: 'open', expires_at } : undefined));
  }

  #draft(uploadId: string, ownerId: string, { length }: NewUpload) {
    const now = this.clock.now();
    return {
      _id: uploadId,
      owner_id: ownerId,
      state: 'new' as const,
      length,
      offset: 0,
      last_offset: 0,
      blob_seed: randomSecret(SEED_BYTES).toString('hex'),
      attempts: 0,
      runs: [],
      unnumbered: false,
      created_at: now,
      expires_at: now + NEW_EXPIRY,
    };
  }

  async #change(id: string, change: (row: UploadDoc) => UploadDoc | undefined): Promise<UploadDoc> {
    const row = await update(this.#rows, id, change);
    if (row === undefined) throw uploadNotFound();
    return row;
  }
}
