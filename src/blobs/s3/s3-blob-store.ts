import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
} from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { DomainError, isDomainError } from '../../kernel';
import { BlobStore, ByteRange, ListOptions, isBlobId, requireBlobId } from '../blob-store';
import { ExpectedMedium, LOCATION_NAME, OWNER_NAME, bindTo, missingBlobs } from '../owner';
import { OwnerObject, requireConditions } from './bucket-marks';
import { refusalOf, refusalText, refusedWith } from './faults';
import { PartMemory, PartSizes } from './part-buffers';
import { S3Address, S3Connection, bodyStream } from './s3-connection';
import { S3Upload } from './s3-upload';
import { UnfinishedUploads } from './unfinished-uploads';

const PREFIX = 'blobs/';

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
    const mark = (name: string): OwnerObject => new OwnerObject(this.#s3, `${PREFIX}${name}`);
    const marks = { owner: mark(OWNER_NAME), location: mark(LOCATION_NAME) };
    const location = await bindTo({ installationId, expected, place: 'S3_BUCKET' }, marks);
    await requireConditions(this.#s3, `${PREFIX}${OWNER_NAME}`, `${installationId}\n`);
    return location;
  }

  async put(id: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const key = keyOf(id);
    // Refuses early, before the bytes are sent; the last request decides.
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
    // The response to HEAD is the same for a missing blob and a missing bucket.
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

  /**
   * Creates a missing bucket where that is allowed.
   * @throws StartupError, or the fault where the server does not respond.
   */
  async #openBucket(fault: unknown, expected: ExpectedMedium): Promise<void> {
    const refusal = refusalOf(fault);
    if (refusal === undefined) throw fault;
    const isAbsent = refusal.status === 404;
    if (isAbsent && expected === 'new' && this.options.createBucket) {
      const command = new CreateBucketCommand({ Bucket: this.#s3.bucket });
      await this.#s3.quick((client, options) => client.send(command, options)).catch(refusedWith('make'));
      return;
    }
    const named = await this.#namedFault(fault);
    if (isAbsent && expected !== 'new') throw missingBlobs(`S3_BUCKET (${refusalText(refusalOf(named) ?? refusal)})`);
    refusedWith('open')(named);
  }

  /** A response to HEAD has no code: a list is refused for the same reason, with a code. */
  async #namedFault(fault: unknown): Promise<unknown> {
    const list = new ListObjectsV2Command({ Bucket: this.#s3.bucket, Prefix: PREFIX, MaxKeys: 1 });
    return this.#s3
      .quick((client, options) => client.send(list, options))
      .then(
        () => fault,
        (error: unknown) => (refusalOf(error) === undefined ? fault : error),
      );
  }
}

/** An object without a time counts as new. */
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

const alreadyThere = (): DomainError =>
  new DomainError('conflict', { detail: 'A blob with this name exists already.' });
