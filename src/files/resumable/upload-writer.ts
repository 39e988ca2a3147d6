import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, Config } from '../../config';
import { FileSummary, HashStream, equalBytes } from '../../crypto';
import { UploadLocked } from '../../http';
import { ChunkBatch, Clock, DomainError, SECOND, bytesIn, failpoint, isDomainError } from '../../kernel';
import { Sealer } from '../../keys/user-keys';
import { Collection, Store, update } from '../../store';
import { Keepalive } from '../content/keepalive';
import { StagedParts } from './staged-parts';
import { Checksum } from './tus-headers';
import { hasPart, isOneMessage, isRepeated, sealDigest, uploadNotFound, withPart, wrongOffset } from './upload';
import { Attempt, AttemptStart, UploadLocks } from './upload-locks';
import { UploadDoc, uploadCollection } from './upload.collection';

/** The body of one request to an upload. */
export interface IncomingChunk {
  readonly offset: number;
  readonly body: AsyncIterable<ChunkBatch>;
  /** Undefined for a body without Content-Length. */
  readonly contentLength: number | undefined;
  readonly checksum: Checksum | undefined;
  /** Ends the connection: nothing more is wanted of this client. */
  interrupt(): void;
}

/**
 * Reads the body of a chunk. Where the client hangs up or falls silent, the content ends, and
 * `fault` says so afterwards: what came is kept. With a checksum nothing is kept that does not
 * verify.
 */
class ChunkReader {
  #fault: DomainError | undefined;
  #moved = false;
  #complete = false;

  constructor(
    private readonly chunk: IncomingChunk,
    private readonly room: number,
  ) {}

  /** Why the body ended early. */
  get fault(): DomainError | undefined {
    return this.#fault;
  }

  /**
   * True after the last byte: what is still to be done depends on the store, and not on the client.
   */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** True where bytes came since the last call. */
  takeMoved(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** @throws DomainError `too_large`, `checksum_mismatch` */
  async *content(): AsyncGenerator<ChunkBatch, void> {
    const hash = this.chunk.checksum?.hash();
    let bytes = 0;
    try {
      for await (const batch of this.chunk.body) {
        this.#moved = true;
        bytes += bytesIn(batch);
        if (bytes > this.room) throw tooMuch();
        for (const piece of batch) hash?.update(piece);
        yield batch;
      }
    } catch (error) {
      if (hash !== undefined || !isDomainError(error, 'validation_failed', 'request_timeout')) throw error;
      this.#fault = error;
    }
    this.#verify(hash);
    this.#complete = true;
  }

  #verify(hash: HashStream | undefined): void {
    const { checksum } = this.chunk;
    if (hash === undefined || checksum === undefined || equalBytes(hash.digest(), checksum.digest)) return;
    throw new DomainError('checksum_mismatch', {
      detail: 'The checksum of this chunk does not match. The chunk was discarded.',
    });
  }
}

/**
 * Reads a chunk that a client sends again because it missed the response. It has to end the content
 * and to match its checksum; what came the first time stays.
 * @throws DomainError `conflict`, and as `ChunkReader.content`
 */
export async function checkRepeated(upload: UploadDoc, chunk: IncomingChunk): Promise<void> {
  if (!isRepeated(upload, chunk.offset)) throw wrongOffset();
  const room = upload.length - chunk.offset;
  if ((chunk.contentLength ?? 0) > room) throw tooMuch();
  const reader = new ChunkReader(chunk, room);
  let size = 0;
  for await (const batch of reader.content()) size += bytesIn(batch);
  if (reader.fault !== undefined) throw reader.fault;
  if (size < room) throw wrongOffset();
}

const tooMuch = (): DomainError =>
  new DomainError('too_large', { detail: 'The body exceeds Upload-Length. The chunk was discarded.' });

/** How often the row of an upload gets a sign of life while bytes come. */
const BEAT_EVERY = 1.5 * SECOND;

/**
 * Writes one chunk: the row names the attempt, the bytes become a message of their own, and one
 * conditional write counts it when it is durable. Otherwise it is removed, here or by the sweeper.
 */
@Injectable()
export class UploadWriter {
  readonly #rows: Collection<UploadDoc>;

  constructor(
    store: Store,
    private readonly locks: UploadLocks,
    private readonly parts: StagedParts,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.#rows = store.collection(uploadCollection);
  }

  /**
   * Stores a chunk. Bytes of a client that hung up are counted, and then the error is thrown.
   * @returns the row afterwards; in state `whole` after the last chunk.
   * @throws UploadLocked; DomainError `conflict`, `too_large`, `checksum_mismatch`,
   * `request_timeout`, `storage_full`, ...
   */
  async write(upload: UploadDoc, chunk: IncomingChunk): Promise<UploadDoc> {
    if (chunk.offset + (chunk.contentLength ?? 0) > upload.length) throw tooMuch();
    const attempt = await this.locks.begin(upload._id, startOf(upload, chunk));
    try {
      if (attempt.preempted !== undefined) await this.parts.drop(attempt.upload, attempt.preempted);
      return await this.#receive(attempt, chunk);
    } catch (error) {
      await this.#abandon(attempt);
      throw error;
    } finally {
      this.locks.end(upload._id);
    }
  }

  /**
   * The stages of a chunk, in their order: the blob store pulls the body through `content` and the
   * message.
   */
  async #receive(attempt: Attempt, chunk: IncomingChunk): Promise<UploadDoc> {
    const { upload, number } = attempt;
    const reader = new ChunkReader(chunk, upload.length - upload.offset);
    const keepalive = this.#keepAlive(attempt, chunk, reader);
    try {
      const key = await this.parts.claim(upload, number);
      const message = this.parts.encrypt(upload, number, key, reader.content());
      const summary = await this.parts.store(upload, number, message);
      failpoint('upload.segment-stored');
      const row = await this.#count(attempt, summary);
      failpoint('upload.segment-counted');
      if (reader.fault !== undefined) throw reader.fault;
      return row;
    } finally {
      keepalive.stop();
    }
  }

  /** Interrupts the client where the attempt was asked to end, or its upload was taken from it. */
  #keepAlive({ upload, number }: Attempt, chunk: IncomingChunk, reader: ChunkReader): Keepalive {
    const beat = async (): Promise<boolean> => {
      const held = await this.locks.touch(upload._id, number, reader.takeMoved() || reader.isComplete);
      return held === 'held' || reader.isComplete;
    };
    return new Keepalive({ everyMs: BEAT_EVERY, beat, onLost: () => chunk.interrupt() });
  }

  /** An attempt without bytes is not counted, except that of an empty file. */
  async #count({ upload, number }: Attempt, summary: FileSummary): Promise<UploadDoc> {
    const size = summary.plaintextSize;
    const outcome = { counted: false };
    const row = await update(this.#rows, upload._id, (current) => {
      outcome.counted = current.state === 'open' && current.running === number;
      if (!outcome.counted || (size === 0 && current.length > 0)) return undefined;
      return this.#counted(withPart(current, number, size), summary);
    });
    if (row === undefined) throw uploadNotFound();
    if (!outcome.counted) throw new UploadLocked();
    return hasPart(row, number) ? row : this.#withdrawn(row, number);
  }

  async #withdrawn(row: UploadDoc, number: number): Promise<UploadDoc> {
    await this.parts.drop(row, number);
    return (await this.locks.release(row._id, number)) ?? row;
  }

  async #counted(row: UploadDoc, summary: FileSummary): Promise<UploadDoc> {
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
   * First the row, then the blob: the write that counts may have succeeded although it was reported
   * as failed. Never throws, so that the caller reports the first error.
   */
  async #abandon({ upload, number }: Attempt): Promise<void> {
    try {
      const row = await this.locks.release(upload._id, number);
      if (row === undefined || !hasPart(row, number)) await this.parts.drop(upload, number);
    } catch {
      return;
    }
  }
}

/** A chunk with a checksum may be dropped, so its message never becomes the message of the file. */
function startOf(upload: UploadDoc, { offset, contentLength, checksum }: IncomingChunk): AttemptStart {
  const mayBeWhole = checksum === undefined && (contentLength === undefined || contentLength === upload.length);
  return { offset, mayBeWhole };
}
