import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { DomainError, isDomainError } from '../../kernel';
import { OwnerMark } from '../owner';
import { bodyStream } from './body-stream';
import { refusedWith } from './faults';
import { S3Connection } from './s3-connection';

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

function ifAbsent(error: unknown): undefined {
  if (isDomainError(error, 'not_found')) return undefined;
  return refusedWith('read from')(error);
}

function ifThere(error: unknown): void {
  if (!isDomainError(error, 'conflict')) refusedWith('write to')(error);
}
