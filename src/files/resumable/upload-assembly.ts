import { Inject, Injectable, OnModuleInit } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONFIG, Config } from '../../config';
import { JobBusy, JobRunner, RunningJob } from '../../jobs';
import {
  Clock,
  DAY,
  DomainError,
  ErrorCode,
  SECOND,
  StaleKeyVersionError,
  failpoint,
  isDomainError,
} from '../../kernel';
import { Collection, Store, update } from '../../store';
import { Assembly } from './assembly';
import { StagedParts } from './staged-parts';
import { isOneMessage, uploadNotFound } from './upload';
import { UploadDoc, uploadCollection } from './upload.collection';

const KIND = 'files.assemble';
/** No route shows them; what became of an upload its own row says. */
const KEPT_MS = DAY;
/** How long a request waits for the file; after that it is asked to come again. */
const PATIENCE = 60 * SECOND;
const FIRST_POLL = 20;
const LONGEST_POLL = 500;
const RETRY_SECONDS = 5;
/** What no further try changes: a segment, or a row, is not what was stored or is gone, or the blob store does not take so much in one piece. */
const FINAL: readonly ErrorCode[] = ['decryption_failed', 'integrity_failed', 'too_large', 'not_found'];

/** From the last byte of an upload to its file: at once where the one message may stay as it is, else by a job that survives processes. */
@Injectable()
export class UploadCompletion implements OnModuleInit {
  protected readonly patienceMs: number = PATIENCE;
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly assembly: Assembly,
    private readonly segments: StagedParts,
    private readonly jobs: JobRunner,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  onModuleInit(): void {
    this.jobs.register(KIND, (job) => this.run(job), { keptMs: KEPT_MS });
  }

  /**
   * The upload once its file is there, whoever makes it.
   * @throws DomainError `store_unavailable` with a time to come again, where that takes long; `decryption_failed`.
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

  /** Begins what is to be done for an upload that is whole, unless somebody is at it. */
  async begin(upload: UploadDoc): Promise<void> {
    if (isOneMessage(upload)) return this.make(upload, () => Promise.resolve());
    await this.jobs.start(KIND, { upload: upload._id }, upload._id).catch((error: unknown) => {
      if (!(error instanceof JobBusy)) throw error;
    });
  }

  private async run(job: RunningJob): Promise<void> {
    const id = String(job.data['upload']);
    const upload = await this.#rows.find('_id', id);
    if (upload?.state === 'done') await this.segments.dropAll(id);
    if (upload?.state !== 'whole') return;
    await this.make(upload, () => job.assertLease());
  }

  private async make(upload: UploadDoc, hold: () => Promise<void>): Promise<void> {
    try {
      await this.file(upload, hold);
    } catch (error) {
      await this.failed(upload, error);
    }
    if ((await this.move(upload._id, 'done')) === undefined) return;
    failpoint('assembly.done');
    await this.segments.dropAll(upload._id);
    failpoint('assembly.cleared');
  }

  private async file(upload: UploadDoc, hold: () => Promise<void>): Promise<void> {
    try {
      await (isOneMessage(upload) ? this.assembly.promote(upload) : this.assembly.assemble(upload, hold));
    } catch (error) {
      if (!(error instanceof StaleKeyVersionError)) throw error;
      // Sealed again since it was read: the row as it is now opens.
      const current = await this.#rows.find('_id', upload._id);
      if (current?.state === 'whole') await this.file(current, hold);
    }
  }

  private async failed(upload: UploadDoc, error: unknown): Promise<never> {
    const current = await this.#rows.find('_id', upload._id);
    if (current?.state === 'whole' && isDomainError(error, ...FINAL)) await this.move(upload._id, 'failed');
    if (isDomainError(error, 'conflict', 'audit_unavailable')) {
      throw new DomainError('store_unavailable', { cause: error });
    }
    throw error;
  }

  private move(uploadId: string, state: 'done' | 'failed'): Promise<UploadDoc | undefined> {
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
