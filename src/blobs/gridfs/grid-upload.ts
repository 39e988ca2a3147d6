import { mongo } from 'mongoose';
import { DomainError } from '../../kernel';
import { asConflict, CHUNK_BYTES, Grid } from './grid';

/**
 * One put: chunks first, the file that makes them visible last. Chunk 0 is the claim to the id, by
 * the unique index: who wrote it owns all chunks of that id and may remove them again. One chunk is
 * on its way while the next is collected.
 */
export class GridUpload {
  #chunk = Buffer.alloc(0);
  #filled = 0;
  #sent = 0;
  #size = 0;
  #owned = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly grid: Grid,
    private readonly id: string,
  ) {}

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#chunk.length === 0) this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const taken = bytes.subarray(at, at + CHUNK_BYTES - this.#filled);
      this.#chunk.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === CHUNK_BYTES) await this.#send();
    }
    this.#size += bytes.length;
  }

  async publish(): Promise<number> {
    if (this.#filled > 0) await this.#send();
    await this.#writing;
    const file = {
      _id: this.id,
      length: this.#size,
      chunkSize: CHUNK_BYTES,
      uploadDate: new Date(),
      filename: this.id,
    };
    await this.grid.files((files) => files.insertOne(file)).catch(rethrownAsConflict);
    if (await this.#isWhole()) return this.#size;
    // `remove` or `discard` took chunks away: whoever did it held this put for dead.
    await this.grid.removeFile(this.id);
    throw new DomainError('conflict');
  }

  /**
   * Leaves nothing behind. Never throws: it runs while another error is on its way, and `sweep`
   * comes by later.
   */
  async abort(): Promise<void> {
    await this.#writing.catch(() => undefined);
    if (this.#owned) await this.grid.removeChunks(this.id).catch(() => undefined);
  }

  async #send(): Promise<void> {
    const n = this.#sent;
    const data = new mongo.Binary(this.#chunk.subarray(0, this.#filled));
    this.#sent += 1;
    this.#chunk = Buffer.alloc(0);
    this.#filled = 0;
    await this.#writing;
    const chunk = { _id: new mongo.ObjectId(), files_id: this.id, n, data };
    const writing = this.grid.chunks((chunks) => chunks.insertOne(chunk)).then(() => undefined, rethrownAsConflict);
    this.#writing = writing;
    // The next send or publish awaits it; until then a server that is away must not count as an
    // unhandled rejection.
    writing.catch(() => undefined);
    if (n > 0) return;
    await writing;
    this.#owned = true;
  }

  /** By the index alone. */
  async #isWhole(): Promise<boolean> {
    const count = await this.grid.chunks((chunks) => chunks.countDocuments({ files_id: { $eq: this.id } }));
    return count === this.#sent;
  }
}

function rethrownAsConflict(error: unknown): never {
  throw asConflict(error);
}
