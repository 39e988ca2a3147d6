import {
  ListMultipartUploadsOutput,
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  MultipartUpload,
} from '@aws-sdk/client-s3';
import { ErrorCollector, isDomainError } from '../../kernel';
import { S3Connection } from './s3-connection';

/**
 * Multipart uploads that nobody completed: invisible, and they cost space until they are aborted.
 */
export class UnfinishedUploads {
  constructor(private readonly s3: S3Connection) {}

  /** Those of one object: a put that is under way with one of them fails. */
  async abort(key: string): Promise<void> {
    for await (const upload of this.#under(key)) if (upload.Key === key) await this.#abort(upload);
  }

  /** Those to which nothing was added for `ageMs`, but for objects that this process is writing. */
  async sweep(prefix: string, ageMs: number, isWritten: (key: string) => boolean): Promise<void> {
    const before = Date.now() - ageMs;
    const faults = new ErrorCollector();
    for await (const upload of this.#under(prefix)) {
      if (isWritten(upload.Key ?? '') || timeOf(upload.Initiated) >= before) continue;
      await faults.run(async () => {
        if ((await this.#lastPartAt(upload)) < before) await this.#abort(upload);
      });
    }
    faults.throwFirst();
  }

  async *#under(prefix: string): AsyncIterable<MultipartUpload> {
    for (let from: Marker | undefined = {}; from !== undefined;) {
      const page: ListMultipartUploadsOutput = await this.#page(prefix, from);
      yield* page.Uploads ?? [];
      from = markerOf(page);
    }
  }

  #page(prefix: string, from: Marker): Promise<ListMultipartUploadsOutput> {
    const command = new ListMultipartUploadsCommand({ Bucket: this.s3.bucket, Prefix: prefix, ...from });
    return this.s3.quick((client, options) => client.send(command, options));
  }

  /** A put of several days is no dead one. */
  async #lastPartAt({ Key, UploadId }: MultipartUpload): Promise<number> {
    let last = 0;
    for (let marker: string | undefined; ;) {
      const place = { Bucket: this.s3.bucket, Key, UploadId };
      const command = new ListPartsCommand({ ...place, ...(marker !== undefined && { PartNumberMarker: marker }) });
      const page = await this.s3.quick((client, options) => client.send(command, options)).catch(ifGone);
      for (const part of page?.Parts ?? []) last = Math.max(last, timeOf(part.LastModified));
      marker = page?.NextPartNumberMarker;
      if (page?.IsTruncated !== true || marker === undefined) return last;
    }
  }

  async #abort({ Key, UploadId }: MultipartUpload): Promise<void> {
    const command = new AbortMultipartUploadCommand({ Bucket: this.s3.bucket, Key, UploadId });
    await this.s3.quick((client, options) => client.send(command, options)).catch(ifGone);
  }
}

interface Marker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

function markerOf(page: ListMultipartUploadsOutput): Marker | undefined {
  const { NextKeyMarker: key, NextUploadIdMarker: id } = page;
  if (page.IsTruncated !== true || key === undefined) return undefined;
  return { KeyMarker: key, ...(id !== undefined && { UploadIdMarker: id }) };
}

const timeOf = (date: Date | undefined): number => date?.getTime() ?? 0;

/** Completed or aborted by somebody else meanwhile (`NoSuchUpload`). */
function ifGone(error: unknown): undefined {
  if (isDomainError(error, 'conflict', 'not_found')) return undefined;
  throw error;
}
