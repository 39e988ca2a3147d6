import { mongo } from 'mongoose';
import { DomainError, SECOND } from '../../kernel';
import { DuplicateKey } from '../../store';
import { MongoConnection, createIndex } from '../../store/mongo';
import { OwnerMark } from '../owner';

/**
 * The bucket of the GridFS specification: `blobs.files` and `blobs.chunks`, so that its tools read
 * it too.
 */
const FILES = 'blobs.files';
const CHUNKS = 'blobs.chunks';
/** Our own, beside the bucket. */
const READERS = 'blobs.readers';
/** Leases of readers that died go some time after they have run out. */
const DEAD_LEASE_SECONDS = 3_600;
/** Few large documents: each is acknowledged by a majority's journal. Documents end at 16 MiB. */
export const CHUNK_BYTES = 1024 * 1024;
/** Chunks of one blob are removed by one command: 1 TiB has a million. */
const REMOVAL_DEADLINE = 60 * SECOND;

export interface GridFile {
  readonly _id: string;
  readonly length: number;
  readonly chunkSize: number;
  readonly uploadDate: Date;
  readonly filename: string;
}

export interface GridChunk {
  readonly _id: mongo.ObjectId;
  readonly files_id: string;
  readonly n: number;
  readonly data: mongo.Binary;
}

/** The lease of one reader of a blob. */
export interface GridReader {
  readonly _id: mongo.ObjectId;
  readonly files_id: string;
  readonly until: Date;
}

type Documents<T extends mongo.Document> = mongo.Collection<T>;

/**
 * The two collections, behind the store's connection: its guarantees, its deadlines, its errors.
 */
export class Grid {
  constructor(private readonly connection: MongoConnection) {}

  files<T>(act: (files: Documents<GridFile>) => Promise<T>): Promise<T> {
    return this.connection.run(() => act(this.connection.documents<GridFile>(FILES)), FILES);
  }

  chunks<T>(act: (chunks: Documents<GridChunk>) => Promise<T>): Promise<T> {
    return this.connection.run(() => act(this.connection.documents<GridChunk>(CHUNKS)), CHUNKS);
  }

  readers<T>(act: (readers: Documents<GridReader>) => Promise<T>): Promise<T> {
    return this.connection.run(() => act(this.connection.documents<GridReader>(READERS)), READERS);
  }

  /**
   * The index of the specification. It is also what lets one put of an id win: whoever wrote chunk
   * 0.
   */
  async prepare(): Promise<void> {
    const create = (): Promise<void> =>
      createIndex(this.connection.documents(CHUNKS), { files_id: 1, n: 1 }, { unique: true, name: 'files_id_1_n_1' });
    await this.connection.run(create, CHUNKS, 'none');
    const ofReaders = async (): Promise<void> => {
      const readers = this.connection.documents(READERS);
      await createIndex(readers, { files_id: 1 }, { name: 'files_id_1' });
      await createIndex(readers, { until: 1 }, { name: 'until_1', expireAfterSeconds: DEAD_LEASE_SECONDS });
    };
    await this.connection.run(ofReaders, READERS, 'none');
  }

  async file(id: string): Promise<GridFile | undefined> {
    return (await this.files((files) => files.findOne({ _id: { $eq: id } }))) ?? undefined;
  }

  /** @returns whether there was a file. */
  async removeFile(id: string): Promise<boolean> {
    return (await this.files((files) => files.deleteOne({ _id: { $eq: id } }))).deletedCount === 1;
  }

  async removeChunks(id: string): Promise<void> {
    const remove = (): Promise<unknown> =>
      this.connection.documents<GridChunk>(CHUNKS).deleteMany({ files_id: { $eq: id } });
    await this.connection.run(remove, CHUNKS, REMOVAL_DEADLINE);
  }

  ping(): Promise<void> {
    return this.connection.ping(SECOND);
  }
}

/** Another put was first. */
export function asConflict(error: unknown): unknown {
  return error instanceof DuplicateKey ? alreadyThere(error) : error;
}

export const alreadyThere = (cause?: unknown): DomainError =>
  new DomainError('conflict', {
    detail: 'A blob with this name exists already.',
    ...(cause !== undefined && { cause }),
  });

/** Beside the bucket, and in each dump of it. */
const MARKS = 'blobs.marks';

interface MarkDocument {
  readonly _id: string;
  readonly text: string;
}

/** A mark as a document. */
export class OwnerDocument implements OwnerMark {
  constructor(
    private readonly connection: MongoConnection,
    private readonly name: string,
  ) {}

  async read(): Promise<string | undefined> {
    const find = (): Promise<MarkDocument | null> =>
      this.connection.documents<MarkDocument>(MARKS).findOne({ _id: { $eq: this.name } });
    return (await this.connection.run(find, MARKS))?.text;
  }

  async claim(text: string): Promise<void> {
    const insert = (): Promise<unknown> =>
      this.connection.documents<MarkDocument>(MARKS).insertOne({ _id: this.name, text });
    await this.connection.run(insert, MARKS).catch((error: unknown) => {
      if (!(error instanceof DuplicateKey)) throw error;
    });
  }
}
