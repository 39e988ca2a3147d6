import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONFIG, Config } from '../../config';
import { newKey } from '../../crypto';
import { JobBusy, JobRunner, RunningJob } from '../../jobs';
import {
  AuditSink,
  Clock,
  DAY,
  DomainError,
  ErrorCode,
  SECOND,
  StaleKeyVersionError,
  audited,
  failpoint,
  isDomainError,
} from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store, update } from '../../store';
import { FileName } from '../model/file';
import { openName } from '../model/file-encryption';
import { FileDoc, fileCollection } from '../model/file.collection';
import { PendingFiles, StoredContent, newBlobId } from '../operations/pending-file';
import { StagedParts } from './staged-parts';
import { blobIdOf, hasStrayMessage, isOneMessage, openDetails, openDigest, uploadNotFound } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

/**
 * Makes the file of an upload whose bytes are all stored. Each step is safe to repeat, and for
 * several processes at once.
 */
@Injectable()
export class Assembly {
  readonly #files: Collection<FileDoc>;

  constructor(
    store: Store,
    private readonly parts: StagedParts,
    private readonly pendingFiles: PendingFiles,
    private readonly sealer: Sealer,
    private readonly audit: AuditSink,
  ) {
    this.#files = store.collection(fileCollection);
  }

  /** Makes the one message of the upload the message of the file. */
  async promote(upload: UploadDoc): Promise<void> {
    const { length: size } = upload;
    const sha256 = await this.sealer.with(upload.owner_id, (keys) => openDigest(keys, upload));
    const encryptedSize = this.parts.encryptedSize(upload, { attempt: 1, size });
    await this.#activate(upload, { size, encryptedSize, sha256, blobId: blobIdOf(upload, 1) });
  }

  /**
   * Writes the content of all parts as the file's own message. `assertLease` is called before each
   * write: it throws where another process has taken over.
   */
  async assemble(upload: UploadDoc, assertLease: () => Promise<void>): Promise<void> {
    const file = await this.#target(upload._id, assertLease);
    if (file === undefined) return;
    failpoint('assembly.begun');
    const ownKey = hasStrayMessage(upload) ? newKey() : undefined;
    try {
      const { plaintextSize: size, encryptedSize, sha256 } = await this.parts.join(upload, file, ownKey);
      failpoint('assembly.stored');
      await assertLease();
      if (size !== upload.length) throw new DomainError('decryption_failed');
      const stored = { size, encryptedSize, sha256, blobId: file.blob_id, isTarget: true };
      await this.#activate(upload, ownKey === undefined ? stored : { ...stored, key: ownKey });
    } finally {
      ownKey?.destroy();
    }
    failpoint('assembly.active');
  }

  /**
   * A new blob for each try: a process that was taken for dead may still write to an earlier one.
   */
  async #target(uploadId: string, assertLease: () => Promise<void>): Promise<FileDoc | undefined> {
    await assertLease();
    let previous: string | undefined;
    const file = await update(this.#files, uploadId, (row) => {
      // Of this attempt alone: the blob of an earlier one may belong to a file by now.
      previous = undefined;
      if (row.state !== 'pending') return undefined;
      previous = row.blob_id;
      return { ...row, blob_id: newBlobId() };
    });
    if (file === undefined) throw uploadNotFound();
    if (previous !== undefined) await this.parts.dropJoined(previous);
    return file.state === 'pending' ? file : undefined;
  }

  async #activate(
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
      await this.pendingFiles.activate(upload._id, { name, expiresInMs }, { ...content, facts }, 'keep-unnamed');
    }).catch((error: unknown) => this.#unlessActive(upload._id, error));
  }

  /** Ignores a conflict where another process made the same file first. */
  async #unlessActive(fileId: string, error: unknown): Promise<void> {
    if (!isDomainError(error, 'conflict')) throw error;
    const file = await this.#files.find('_id', fileId);
    if (file?.state !== 'active' && file?.state !== 'trashed') throw error;
  }
}

const KIND = 'files.assemble';
/** No route shows these jobs: the row of an upload says what became of it. */
const KEPT_MS = DAY;
/** How long a request waits for the file, until it gets 503 with Retry-After. */
const PATIENCE = 60 * SECOND;
const FIRST_POLL = 20;
const LONGEST_POLL = 500;
const RETRY_SECONDS = 5;
/**
 * Errors that no retry changes: damaged or missing parts and rows, or a file too large for the blob
 * store.
 */
const FINAL: readonly ErrorCode[] = ['decryption_failed', 'integrity_failed', 'too_large', 'not_found'];

/**
 * Completes uploads: at once where the one message becomes the file's, else by a job that survives
 * processes.
 */
@Injectable()
export class UploadCompletion implements OnModuleInit {
  protected readonly patienceMs: number = PATIENCE;
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly assembly: Assembly,
    private readonly parts: StagedParts,
    private readonly jobs: JobRunner,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  onModuleInit(): void {
    this.jobs.register(KIND, (job) => this.#run(job), { keptMs: KEPT_MS });
  }

  /**
   * The upload once its file is there, whoever makes it.
   * @throws DomainError `store_unavailable` with a time to come again, where that takes long;
   * `decryption_failed`.
   */
  async complete(upload: UploadDoc): Promise<UploadDoc> {
    if (upload.state === 'whole') await this.begin(upload);
    const until = performance.now() + this.patienceMs;
    for (let pause = FIRST_POLL; ; pause = Math.min(LONGEST_POLL, 2 * pause)) {
      const row = await this.#rows.find('_id', upload._id);
      if (row === undefined) throw uploadNotFound();
      if (row.state === 'done') return row;
      if (row.state !== 'whole') throw new DomainError('decryption_failed');
      if (performance.now() > until) throw unfinished();
      await sleep(pause);
    }
  }

  /** Starts the completion of an upload whose bytes are all stored, unless another process has. */
  async begin(upload: UploadDoc): Promise<void> {
    if (isOneMessage(upload)) return this.#make(upload, () => Promise.resolve());
    await this.jobs.start(KIND, { upload: upload._id }, upload._id).catch((error: unknown) => {
      if (!(error instanceof JobBusy)) throw error;
    });
  }

  async #run(job: RunningJob): Promise<void> {
    const id = String(job.data['upload']);
    const upload = await this.#rows.find('_id', id);
    if (upload?.state === 'done') await this.parts.dropAll(id);
    if (upload?.state !== 'whole') return;
    await this.#make(upload, () => job.assertLease());
  }

  async #make(upload: UploadDoc, assertLease: () => Promise<void>): Promise<void> {
    try {
      await this.#file(upload, assertLease);
    } catch (error) {
      await this.#failed(upload, error);
    }
    if ((await this.#move(upload._id, 'done')) === undefined) return;
    failpoint('assembly.done');
    await this.parts.dropAll(upload._id);
    failpoint('assembly.cleared');
  }

  async #file(upload: UploadDoc, assertLease: () => Promise<void>): Promise<void> {
    try {
      await (isOneMessage(upload) ? this.assembly.promote(upload) : this.assembly.assemble(upload, assertLease));
    } catch (error) {
      if (!(error instanceof StaleKeyVersionError)) throw error;
      // The row was re-encrypted since it was read: the new one opens.
      const current = await this.#rows.find('_id', upload._id);
      if (current?.state === 'whole') await this.#file(current, assertLease);
    }
  }

  async #failed(upload: UploadDoc, error: unknown): Promise<never> {
    const current = await this.#rows.find('_id', upload._id);
    if (current?.state === 'whole' && isDomainError(error, ...FINAL)) await this.#move(upload._id, 'failed');
    if (isDomainError(error, 'conflict', 'audit_unavailable')) {
      throw new DomainError('store_unavailable', { cause: error });
    }
    throw error;
  }

  #move(uploadId: string, state: 'done' | 'failed'): Promise<UploadDoc | undefined> {
    return update(this.#rows, uploadId, ({ digest: _digest, ...row }) =>
      row.state === 'whole'
        ? { ...row, state, expires_at: this.clock.now() + this.config.files.uploadExpiryMs }
        : undefined,
    );
  }
}

const unfinished = (): DomainError =>
  new DomainError('store_unavailable', {
    detail: 'Upload complete; still assembling the file. Retry.',
    retryAfterSeconds: RETRY_SECONDS,
  });
