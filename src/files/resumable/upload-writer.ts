import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { FileSummary } from '../../crypto';
import { UploadLocked } from '../../http';
import { ChunkBatch, Clock, failpoint } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store, update } from '../../store';
import { IncomingChunk, PieceBytes, tooMuch } from './upload-chunk';
import { UploadKeepalive } from './upload-keepalive';
import { StagedParts } from './staged-parts';
import { hasPart, isOneMessage, uploadNotFound, withPart } from './upload';
import { sealDigest } from './upload-cipher';
import { Attempt, AttemptStart, UploadLocks } from './upload-locks';
import { UploadDoc, uploadCollection } from './upload.collection';

/**
 * One PATCH: named in the row, written as a message of its own, and counted by one conditional write when it is durable. What comes of it
 * otherwise is removed, here or by the sweeper, and never counted.
 */
@Injectable()
export class UploadAttempts {
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly locks: UploadLocks,
    private readonly segments: StagedParts,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /**
   * Takes the bytes in. What came of a client that hung up is counted, and then reported.
   * @returns the row afterwards; `whole` where that was the last of it.
   * @throws UploadLocked; DomainError `conflict`, `too_large`, `checksum_mismatch`, `request_timeout`, `storage_full`, ...
   */
  async take(upload: UploadDoc, piece: IncomingChunk): Promise<UploadDoc> {
    if (piece.offset + (piece.announced ?? 0) > upload.length) throw tooMuch();
    const attempt = await this.locks.begin(upload._id, startOf(upload, piece));
    try {
      if (attempt.superseded !== undefined) await this.segments.drop(attempt.upload, attempt.superseded);
      return await this.fill(attempt, piece);
    } catch (error) {
      await this.abandon(attempt);
      throw error;
    } finally {
      this.locks.end(upload._id);
    }
  }

  private async fill(attempt: Attempt, piece: IncomingChunk): Promise<UploadDoc> {
    const { upload, number } = attempt;
    const bytes = new PieceBytes(piece, upload.length - upload.offset);
    const pulse = this.pulse(attempt, piece, bytes);
    try {
      const key = await this.segments.fileKey(upload._id);
      await this.segments.name(upload, number).catch((error: unknown) => {
        key.destroy();
        throw error;
      });
      const summary = await this.segments.write(upload, number, key, finishing(bytes.read(), pulse));
      failpoint('upload.segment-stored');
      const row = await this.count(attempt, summary);
      failpoint('upload.segment-counted');
      if (bytes.fault !== undefined) throw bytes.fault;
      return row;
    } finally {
      pulse.stop();
    }
  }

  private pulse({ upload, number }: Attempt, piece: IncomingChunk, bytes: PieceBytes): UploadKeepalive {
    return new UploadKeepalive(this.locks, {
      uploadId: upload._id,
      attempt: number,
      moved: () => bytes.takeMoved(),
      interrupt: () => piece.interrupt(),
    });
  }

  /** An attempt that brought nothing counts for nothing, but for that of an empty file. */
  private async count({ upload, number }: Attempt, summary: FileSummary): Promise<UploadDoc> {
    const size = summary.plaintextSize;
    const outcome = { counted: false };
    const row = await update(this.#rows, upload._id, (current) => {
      outcome.counted = current.state === 'open' && current.running === number;
      if (!outcome.counted || (size === 0 && current.length > 0)) return undefined;
      return this.counted(withPart(current, number, size), summary);
    });
    if (row === undefined) throw uploadNotFound();
    if (!outcome.counted) throw new UploadLocked();
    return hasPart(row, number) ? row : this.withdrawn(row, number);
  }

  private async withdrawn(row: UploadDoc, number: number): Promise<UploadDoc> {
    await this.segments.drop(row, number);
    return (await this.locks.release(row._id, number)) ?? row;
  }

  private async counted(row: UploadDoc, summary: FileSummary): Promise<UploadDoc> {
    if (row.offset < row.length) {
      return { ...row, expires_at: this.clock.now() + this.config.files.uploadExpiryMs };
    }
    const { expires_at: _expiry, ...whole } = row;
    if (!isOneMessage(row)) return { ...whole, state: 'whole' };
    return this.sealer.with(row.owner_id, (keys) => ({
      ...whole,
      state: 'whole' as const,
      digest: sealDigest(keys, row, summary.sha256),
      seal_version: Math.min(row.seal_version, keys.version),
    }));
  }

  /**
   * First the row, then the blob: the write that counts may have been stored although it was reported as failed. Never throws, the error that
   * led here is the one to tell; where the store does not answer, the sweeper does this later.
   */
  private async abandon({ upload, number }: Attempt): Promise<void> {
    try {
      const row = await this.locks.release(upload._id, number);
      if (row === undefined || !hasPart(row, number)) await this.segments.drop(upload, number);
    } catch {
      return;
    }
  }
}

/** A piece with a checksum may be dropped whole, so its message never stands for the file. */
function startOf(upload: UploadDoc, { offset, announced, checksum }: IncomingChunk): AttemptStart {
  const mayBeWhole = checksum === undefined && (announced === undefined || announced === upload.length);
  return { offset, mayBeWhole };
}

async function* finishing(bytes: AsyncIterable<ChunkBatch>, pulse: UploadKeepalive): AsyncGenerator<ChunkBatch, void> {
  yield* bytes;
  pulse.finishing();
}
