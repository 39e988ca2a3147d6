import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { DomainError, StartRefused, isDomainError } from '../../kernel';
import { isBlobId, requireBlobId } from '../blob-id';
import { BlobStore, ByteRange, ListOptions } from '../blob-store';
import { ExpectedMedium, LOCATION_NAME, OWNER_NAME, bindTo, missingBlobs } from '../owner';
import { bodyStream } from './body-stream';
import { answerStatus, refusedWith } from './faults';
import { OwnerObject } from './owner-object';
import { PartMemory } from './part-memory';
import { PartSizes } from './part-plan';
import { S3Address, S3Connection } from './s3-connection';
import { S3Upload } from './s3-upload';
import { UnfinishedUploads } from './unfinished-uploads';

const PREFIX = 'blobs/';
/** No blob id: the place at which a start tries what it may do. */
const TRIAL_KEY = `${PREFIX}.trial`;

export interface S3Options {
  /** Whether a bucket that is not there may be made. */
  readonly createBucket: boolean;
  /** Sizes of parts other than PART_PLAN. */
  readonly parts?: readonly PartSizes[];
}

/** Blobs as objects `blobs/<id>` of a bucket of any server of the S3 API. */
export class S3BlobStore extends BlobStore {
  readonly #s3: S3Connection;
  readonly #unfinished: UnfinishedUploads;
  readonly #memory: PartMemory;
  readonly #running = new Map<string, S3Upload>();

  constructor(
    address: S3Address,
    private readonly options: S3Options,
  ) {
    super();
    this.#s3 = new S3Connection(address);
    this.#unfinished = new UnfinishedUploads(this.#s3);
    this.#memory = new PartMemory(options.parts);
  }

  async open(installationId: string, expected: ExpectedMedium = 'new'): Promise<string> {
    try {
      await this.ping();
    } catch (error) {
      await this.#openBucket(error, expected);
    }
    await this.#requireWritable();
    const mark = (name: string): OwnerObject => new OwnerObject(this.#s3, `${PREFIX}${name}`);
    const marks = { owner: mark(OWNER_NAME), location: mark(LOCATION_NAME) };
    return bindTo({ installationId, expected, place: 'S3_BUCKET' }, marks);
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const key = keyOf(id);
    // So that nobody sends a blob for nothing; the last request decides.
    if ((await this.#head(key)) !== undefined) throw alreadyThere();
    if (this.#running.has(id)) throw alreadyThere();
    const upload = new S3Upload(this.#s3, key, this.#memory);
    this.#running.set(id, upload);
    try {
      for await (const chunk of source) await upload.write(chunk);
      return await upload.publish();
    } catch (error) {
      await upload.discard();
      throw error;
    } finally {
      this.#running.delete(id);
    }
  }

  async get(id: string, range?: ByteRange): Promise<Readable> {
    const span = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end}` };
    const command = new GetObjectCommand({ Bucket: this.#s3.bucket, Key: keyOf(id), ...span });
    const { Body: body } = await this.#s3.quick((client, options) => client.send(command, options));
    if (!(body instanceof Readable)) throw new DomainError('store_unavailable');
    return bodyStream(body);
  }

  async size(id: string): Promise<number | undefined> {
    const size = await this.#head(keyOf(id));
    // The answer to HEAD does not tell a missing blob from a missing bucket.
    if (size === undefined) await this.ping();
    return size;
  }

  async remove(id: string): Promise<void> {
    await this.discard(id);
    const command = new DeleteObjectCommand({ Bucket: this.#s3.bucket, Key: keyOf(id) });
    await this.#s3.quick((client, options) => client.send(command, options)).catch(ifAbsent);
  }

  async discard(id: string): Promise<void> {
    const key = keyOf(id);
    this.#running.get(id)?.cancel(new DomainError('conflict'));
    await this.#unfinished.abort(key);
  }

  async *list({ olderThanMs }: ListOptions = {}): AsyncIterable<string> {
    const before = olderThanMs === undefined ? Infinity : Date.now() - olderThanMs;
    for (let token: string | undefined; ;) {
      const command = new ListObjectsV2Command({ Bucket: this.#s3.bucket, Prefix: PREFIX, ContinuationToken: token });
      const page = await this.#s3.heavy((client, options) => client.send(command, options));
      const found = (page.Contents ?? []).filter(({ LastModified: at }) => before === Infinity || isBefore(at, before));
      const ids = found.map(({ Key }) => (Key ?? '').slice(PREFIX.length));
      yield* ids.filter(isBlobId);
      token = page.NextContinuationToken;
      if (page.IsTruncated !== true || token === undefined) return;
    }
  }

  sweep(ageMs: number): Promise<void> {
    return this.#unfinished.sweep(PREFIX, ageMs, (key) => this.#running.has(key.slice(PREFIX.length)));
  }

  async ping(): Promise<void> {
    const command = new HeadBucketCommand({ Bucket: this.#s3.bucket });
    await this.#s3.quick((client, options) => client.send(command, options)).catch(neverAbsent);
  }

  async #head(key: string): Promise<number | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#s3.bucket, Key: key });
    const head = this.#s3.quick((client, options) => client.send(command, options));
    return head.then(({ ContentLength: size }) => size ?? 0, ifAbsent);
  }

  /** What follows from a bucket that did not answer well. @throws StartRefused, or the fault where the server is away. */
  async #openBucket(fault: unknown, expected: ExpectedMedium): Promise<void> {
    const status = answerStatus(fault instanceof DomainError ? fault.cause : undefined);
    if (status === 403) throw new StartRefused('S3_BUCKET may not be used with these credentials (AWS_ACCESS_KEY_ID).');
    if (status !== 404) throw fault;
    if (expected !== 'new') throw missingBlobs('S3_BUCKET');
    if (!this.options.createBucket) {
      throw new StartRefused('S3_BUCKET names a bucket that is not there: make it first, production makes none.');
    }
    const command = new CreateBucketCommand({ Bucket: this.#s3.bucket });
    await this.#s3.quick((client, options) => client.send(command, options)).catch(refusedWith('make the bucket'));
  }

  /** Begins an upload and aborts it, which shows both rights and leaves nothing. */
  async #requireWritable(): Promise<void> {
    const place = { Bucket: this.#s3.bucket, Key: TRIAL_KEY };
    const begin = new CreateMultipartUploadCommand(place);
    const begun = await this.#s3.quick((client, options) => client.send(begin, options)).catch(refusedWith('write'));
    const abort = new AbortMultipartUploadCommand({ ...place, UploadId: begun.UploadId });
    await this.#s3.quick((client, options) => client.send(abort, options)).catch(refusedWith('abort uploads'));
  }
}

/** An object whose time is not told is taken for a new one. */
const isBefore = (at: Date | undefined, before: number): boolean => (at?.getTime() ?? Infinity) < before;

function keyOf(id: string): string {
  requireBlobId(id);
  return `${PREFIX}${id}`;
}

function ifAbsent(error: unknown): undefined {
  if (isDomainError(error, 'not_found')) return undefined;
  throw error;
}

/** Of a bucket: without it there is nowhere to write. */
function neverAbsent(error: unknown): never {
  throw isDomainError(error, 'not_found') ? new DomainError('store_unavailable', { cause: error.cause }) : error;
}

const alreadyThere = (): DomainError => new DomainError('conflict', { detail: 'A blob is written once.' });
