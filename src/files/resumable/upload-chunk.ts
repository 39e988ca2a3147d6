import { HashStream, equalBytes } from '../../crypto';
import { ChunkBatch, DomainError, bytesIn, isDomainError } from '../../kernel';
import { Checksum } from './tus-headers';
import { isRepeated, wrongOffset } from './upload';
import { UploadDoc } from './upload.collection';

/** The body of one request, as the upload takes it. */
export interface IncomingChunk {
  readonly offset: number;
  readonly content: AsyncIterable<ChunkBatch>;
  /** Bytes that are announced; undefined where they are not. */
  readonly announced: number | undefined;
  readonly checksum: Checksum | undefined;
  /** Ends the connection: nothing more is wanted of this client. */
  interrupt(): void;
}

/**
 * The bytes of a piece, counted. Where the client hangs up or falls silent they end as if that were all, and `fault` says so afterwards:
 * what came is kept. With a checksum there is no half: what cannot be verified does not count.
 */
export class PieceBytes {
  #fault: DomainError | undefined;
  #moved = false;

  constructor(
    private readonly piece: IncomingChunk,
    private readonly room: number,
  ) {}

  /** Why there is no more of it, where the client did not send all that it wanted to. */
  get fault(): DomainError | undefined {
    return this.#fault;
  }

  /** True where bytes came since this was last asked. */
  takeMoved(): boolean {
    const moved = this.#moved;
    this.#moved = false;
    return moved;
  }

  /** @throws DomainError `too_large`, `checksum_mismatch` */
  async *read(): AsyncGenerator<ChunkBatch, void> {
    const hash = this.piece.checksum?.hash();
    let bytes = 0;
    try {
      for await (const burst of this.piece.content) {
        this.#moved = true;
        bytes += bytesIn(burst);
        if (bytes > this.room) throw tooMuch();
        for (const chunk of burst) hash?.update(chunk);
        yield burst;
      }
    } catch (error) {
      if (hash !== undefined || !isDomainError(error, 'validation_failed', 'request_timeout')) throw error;
      this.#fault = error;
    }
    this.verify(hash);
  }

  private verify(hash: HashStream | undefined): void {
    const { checksum } = this.piece;
    if (hash === undefined || checksum === undefined || equalBytes(hash.digest(), checksum.digest)) return;
    throw new DomainError('checksum_mismatch', {
      detail: 'The checksum of this chunk does not match. The chunk was discarded.',
    });
  }
}

/**
 * Reads a piece that was sent although all is there, as a client does whose answer was lost: it has to be one that ends the content, and to
 * have its checksum. What came the first time stays. @throws DomainError `conflict`, and as `PieceBytes.read`
 */
export async function checkRepeated(upload: UploadDoc, piece: IncomingChunk): Promise<void> {
  if (!isRepeated(upload, piece.offset)) throw wrongOffset();
  const room = upload.length - piece.offset;
  if ((piece.announced ?? 0) > room) throw tooMuch();
  const bytes = new PieceBytes(piece, room);
  let size = 0;
  for await (const burst of bytes.read()) size += bytesIn(burst);
  if (bytes.fault !== undefined) throw bytes.fault;
  if (size < room) throw wrongOffset();
}

export const tooMuch = (): DomainError =>
  new DomainError('too_large', { detail: 'The body exceeds Upload-Length. The chunk was discarded.' });
