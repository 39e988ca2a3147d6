import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { StartupError, isDomainError } from '../../kernel';
import { refusedWith } from './faults';
import { S3Connection } from './s3-connection';
import { BEFORE_SIGNING, unsignedBody } from './unsigned-body';

const CREATE_ONLY = '*';

/**
 * Tries to write an object that is there, in both ways in which blobs are written: the server must refuse each for its condition. One that
 * passes over conditions would let two writes of a blob replace each other. It is then given the bytes that it has, so nothing changes.
 * @throws StartupError
 */
export async function requireConditions(s3: S3Connection, key: string, content: string): Promise<void> {
  const place = { Bucket: s3.bucket, Key: key };
  await refusedByCondition(() => {
    const put = new PutObjectCommand({
      ...place,
      Body: content,
      ContentType: 'text/plain',
      ChecksumAlgorithm: 'CRC32',
      IfNoneMatch: CREATE_ONLY,
    });
    put.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
    return s3.quick((client, options) => client.send(put, options));
  }, 'PutObject');
  await inUpload(s3, place, (upload) =>
    refusedByCondition(async () => {
      const part = { ...upload, PartNumber: 1, Body: Buffer.from(content), ChecksumAlgorithm: 'CRC32' as const };
      const command = new UploadPartCommand(part);
      command.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
      const { ETag, ChecksumCRC32 } = await s3.quick((client, options) => client.send(command, options));
      const checksum = ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 };
      const complete = new CompleteMultipartUploadCommand({
        ...upload,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag, ...checksum }] },
        IfNoneMatch: CREATE_ONLY,
      });
      return s3.quick((client, options) => client.send(complete, options));
    }, 'CompleteMultipartUpload'),
  );
}

interface Place {
  readonly Bucket: string;
  readonly Key: string;
}

/** Begins an upload and aborts it whatever comes of it, which shows both rights and leaves nothing. */
async function inUpload(
  s3: S3Connection,
  place: Place,
  work: (upload: Place & { readonly UploadId: string | undefined }) => Promise<void>,
): Promise<void> {
  const begin = new CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'CRC32' });
  const { UploadId } = await s3
    .quick((client, options) => client.send(begin, options))
    .catch(refusedWith('begin an upload to'));
  const abort = new AbortMultipartUploadCommand({ ...place, UploadId });
  const end = (): Promise<unknown> => s3.quick((client, options) => client.send(abort, options));
  try {
    await work({ ...place, UploadId });
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
