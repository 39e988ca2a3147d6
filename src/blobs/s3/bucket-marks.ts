import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { DomainError, StartupError, isDomainError } from '../../kernel';
import { OwnerMark } from '../owner';
import { refusedWith } from './faults';
import {
  MultipartPlace,
  ObjectPlace,
  abortMultipart,
  beginMultipart,
  completeMultipart,
  putObject,
  putPart,
} from './object-writes';
import { S3Connection, bodyStream } from './s3-connection';

/** A mark as an object. */
export class OwnerObject implements OwnerMark {
  constructor(
    private readonly s3: S3Connection,
    private readonly key: string,
  ) {}

  async read(): Promise<string | undefined> {
    const command = new GetObjectCommand({ Bucket: this.s3.bucket, Key: this.key });
    const found = await this.s3.quick((client, options) => client.send(command, options)).catch(ifAbsent);
    if (found === undefined) return undefined;
    if (!(found.Body instanceof Readable)) throw new DomainError('store_unavailable');
    return (await text(bodyStream(found.Body))).trim();
  }

  /** Signed with its body, unlike blobs: nothing else authenticates a mark. */
  async claim(mark: string): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.s3.bucket,
      Key: this.key,
      Body: `${mark}\n`,
      ContentType: 'text/plain',
      IfNoneMatch: '*',
    });
    await this.s3.quick((client, options) => client.send(command, options)).catch(ifThere);
  }
}

/**
 * Tries to write an object that exists, in both ways in which blobs are written. The server must
 * refuse each for its condition: otherwise two writes of a blob could replace each other. It is
 * given the bytes that the object has, so nothing changes.
 * @throws StartupError
 */
export async function requireConditions(s3: S3Connection, key: string, content: string): Promise<void> {
  const place = { Bucket: s3.bucket, Key: key };
  await refusedByCondition(() => s3.quick(putObject(place, content, { ContentType: 'text/plain' })), 'PutObject');
  await inUpload(s3, place, (upload) =>
    refusedByCondition(async () => {
      const part = await s3.quick(putPart(upload, 1, Buffer.from(content)));
      return s3.quick(completeMultipart(upload, [part]));
    }, 'CompleteMultipartUpload'),
  );
}

/** Begins an upload and aborts it in any case, which proves both permissions and leaves nothing. */
async function inUpload(
  s3: S3Connection,
  place: ObjectPlace,
  work: (upload: MultipartPlace) => Promise<void>,
): Promise<void> {
  const upload = await s3.quick(beginMultipart(place)).catch(refusedWith('begin an upload to'));
  const end = (): Promise<unknown> => s3.quick(abortMultipart(upload));
  try {
    await work(upload);
  } catch (error) {
    await end().catch(() => undefined);
    throw error;
  }
  await end().catch(ifEnded);
}

async function refusedByCondition(write: () => Promise<unknown>, operation: string): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!isDomainError(error, 'conflict')) refusedWith('write to')(error);
    return;
  }
  throw new StartupError(
    `The S3 server ignores the condition If-None-Match of ${operation}, without which a blob could be replaced: use a server that holds it ` +
      '(docs/operations.md, "Blob stores").',
  );
}

/** Some servers end the upload with the refusal. */
function ifEnded(error: unknown): void {
  if (!isDomainError(error, 'conflict', 'not_found')) refusedWith('abort uploads in')(error);
}

function ifAbsent(error: unknown): undefined {
  if (isDomainError(error, 'not_found')) return undefined;
  return refusedWith('read from')(error);
}

function ifThere(error: unknown): void {
  if (!isDomainError(error, 'conflict')) refusedWith('write to')(error);
}
