import { mongo } from 'mongoose';
import { Readable } from 'node:stream';
import { DomainError } from '../../kernel';
import { MongoConnection } from '../../store/mongo';
import { BlobStore, ByteRange, ListOptions, isBlobId, requireBlobId } from '../blob-store';
import { ExpectedMedium, LOCATION_NAME, OWNER_NAME, bindTo } from '../owner';
import { Grid, GridChunk, GridFile, OwnerDocument, alreadyThere } from './grid';
import { GridLease, GridReaders } from './grid-readers';
import { GridUpload } from './grid-upload';
const READ_AHEAD_BYTES = 512 * 1024;
/** Chunks that are on their way as soon as a read begins: so many need no lease. */
const READ_AT_ONCE = 2;
const PAGE = 1_000;
const PAGE_OF_IDS = { projection: { _id: 1 }, sort: { _id: 1 }, limit: PAGE } as const;

/**
 * Blobs as GridFS files of the installation's MongoDB: what is there is what a majority of its
 * disks has. A blob is visible by its document in `blobs.files`, which is written when all chunks
 * are there.
 */
export class GridFsBlobStore extends BlobStore {
  readonly #grid: Grid;
  readonly #readers: GridReaders;
  #prepared: Promise<void> | undefined;

  constructor(private readonly connection: MongoConnection) {
    super();
    this.#grid = new Grid(connection);
    this.#readers = new GridReaders(this.#grid);
  }

  /**
   * The blobs lie in the database of the documents. Releases up to 0.1.0 left no marks there, so
   * where the installation recorded none a missing one is made; where it did, the collections of
   * the blobs are gone.
   */
  async open(installationId: string, expected: ExpectedMedium = 'new'): Promise<string> {
    const mark = (name: string): OwnerDocument => new OwnerDocument(this.connection, name);
    const marks = { owner: mark(OWNER_NAME), location: mark(LOCATION_NAME) };
    const binding = {
      installationId,
      expected: expected === 'owned' ? 'new' : expected,
      place: 'GridFS of MONGODB_URL',
    };
    const location = await bindTo(binding, marks);
    await this.#prepare();
    return location;
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    requireBlobId(id);
    await this.#prepare();
    if ((await this.#grid.file(id)) !== undefined) throw alreadyThere();
    const upload = new GridUpload(this.#grid, id);
    try {
      for await (const chunk of source) await upload.write(chunk);
      return await upload.publish();
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async get(id: string, range?: ByteRange): Promise<Readable> {
    requireBlobId(id);
    const file = await this.#grid.file(id);
    if (file === undefined) throw new DomainError('not_found');
    const [start, end] = [range?.start ?? 0, Math.min(range?.end ?? Infinity, file.length - 1)];
    const chunks = Math.floor(end / file.chunkSize) - Math.floor(start / file.chunkSize) + 1;
    const lease = chunks <= READ_AT_ONCE ? undefined : await this.#lease(id);
    const options = { objectMode: false, highWaterMark: READ_AHEAD_BYTES };
    const stream = Readable.from(this.#bytes(file, start, end), options);
    return lease === undefined ? stream : stream.once('close', () => void lease.end());
  }

  async size(id: string): Promise<number | undefined> {
    requireBlobId(id);
    return (await this.#grid.file(id))?.length;
  }

  // The file twice: a put that was just about to publish may have written it between the two, and
  // then has lost its chunks.
  async remove(id: string): Promise<void> {
    requireBlobId(id);
    await this.#grid.removeFile(id);
    await this.#readers.removeChunks(id);
    await this.#grid.removeFile(id);
  }

  async discard(id: string): Promise<void> {
    requireBlobId(id);
    // A put that publishes between the two finds its chunks gone, and takes its file back.
    if ((await this.#grid.file(id)) === undefined) await this.#grid.removeChunks(id);
  }

  async *list({ olderThanMs }: ListOptions = {}): AsyncIterable<string> {
    const old = olderThanMs !== undefined && { uploadDate: { $lt: new Date(Date.now() - olderThanMs) } };
    for (let after = '', skip = 0; ;) {
      const [filter, options] = [
        { _id: { $gt: after }, ...old },
        { ...PAGE_OF_IDS, skip },
      ];
      const page = await this.#grid.files((files) => files.find(filter, options).toArray());
      const ids = page.map(({ _id }) => _id);
      yield* ids.filter(isBlobId);
      if (ids.length < PAGE) return;
      // An id of somebody else may not be what was read: such ones are passed by in their number.
      const last = ids.findLastIndex(isBlobId);
      skip = last < 0 ? skip + ids.length : ids.length - 1 - last;
      after = ids[last] ?? after;
    }
  }

  /**
   * Chunks without a file, by the index from id to id. The newest chunk of an id says when it was
   * last written to.
   */
  async sweep(ageMs: number): Promise<void> {
    const before = Date.now() - ageMs;
    for (let after = '', skip = 0; ;) {
      const id = await this.#nextWithChunks(after, skip);
      if (id === undefined) return;
      [after, skip] = isBlobId(id) ? [id, 0] : [after, skip + 1];
      if (isBlobId(id) && (await this.#isStray(id, before)) && !(await this.#readers.any(id))) await this.discard(id);
    }
  }

  ping(): Promise<void> {
    return this.#grid.ping();
  }

  /** @throws DomainError `not_found` where the blob went before the lease was there. */
  async #lease(id: string): Promise<GridLease> {
    const lease = await this.#readers.begin(id);
    try {
      if ((await this.#grid.file(id)) === undefined) throw new DomainError('not_found');
      return lease;
    } catch (error) {
      // One that nobody ends would be renewed for as long as the process lives.
      await lease.end();
      throw error;
    }
  }

  /** Chunks without a file, of which the newest was written before `before`. */
  async #isStray(id: string, before: number): Promise<boolean> {
    return (await this.#grid.file(id)) === undefined && (await this.#lastWrittenAt(id)) < before;
  }

  async #nextWithChunks(after: string, skip: number): Promise<string | undefined> {
    const options = { projection: { files_id: 1 }, sort: { files_id: 1, n: 1 }, skip } as const;
    const next = await this.#grid.chunks((chunks) => chunks.findOne({ files_id: { $gt: after } }, options));
    return next?.files_id;
  }

  async #lastWrittenAt(id: string): Promise<number> {
    const newest = await this.#grid.chunks((chunks) =>
      chunks.findOne({ files_id: { $eq: id } }, { projection: { _id: 1 }, sort: { files_id: -1, n: -1 } }),
    );
    return newest === null ? Date.now() : newest._id.getTimestamp().getTime();
  }

  /** Chunk by chunk: the driver's own stream would take batches of up to 16 MiB. */
  async *#bytes(file: GridFile, start: number, end: number): AsyncIterable<Buffer> {
    const size = file.chunkSize;
    let ahead = start <= end ? this.#read(file, Math.floor(start / size)) : undefined;
    for (let at = start; at <= end;) {
      const n = Math.floor(at / size);
      const data = await ahead;
      if (data === undefined) throw new DomainError('not_found');
      const next = (n + 1) * size;
      ahead = next <= end ? this.#read(file, n + 1) : undefined;
      yield data.subarray(at - n * size, Math.min(size, end + 1 - n * size));
      at = next;
    }
  }

  #read(file: GridFile, n: number): Promise<Buffer | undefined> {
    const read = this.#grid
      .chunks((chunks) => chunks.findOne({ files_id: { $eq: file._id }, n: { $eq: n } }))
      .then((chunk) => (chunk === null ? undefined : bytesOf(chunk, file)));
    // Read ahead: nobody may come to ask for it.
    read.catch(() => undefined);
    return read;
  }

  /** Once a process, and again after a failure. */
  async #prepare(): Promise<void> {
    this.#prepared ??= this.#grid.prepare();
    await this.#prepared.catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
  }
}

/** A chunk that is not as long as it should be would shift all behind it. */
function bytesOf({ data, n }: GridChunk, { length, chunkSize }: GridFile): Buffer {
  const bytes =
    data instanceof mongo.Binary ? Buffer.from(data.buffer.buffer, data.buffer.byteOffset, data.position) : data;
  const expected = Math.min(chunkSize, length - n * chunkSize);
  if (bytes.length !== expected)
    throw new DomainError('store_unavailable', { detail: 'A chunk has an unexpected length.' });
  return bytes;
}
