import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CompletedPart,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { DomainError } from '../../kernel';
import { S3Call } from './s3-connection';

/** Where an object is written. */
export interface ObjectPlace {
  readonly Bucket: string;
  readonly Key: string;
}

/** One multipart upload of an object. */
export interface MultipartPlace extends ObjectPlace {
  readonly UploadId: string;
}

/** What a write says of its object besides the bytes. */
export interface ObjectFacts {
  readonly ContentType?: string;
  readonly Metadata?: Readonly<Record<string, string>>;
}

/** An object that exists already is never replaced. */
const CREATE_ONLY = '*';
const CHECKSUM = 'CRC32';

/** Where the SDK calls it: before a request is signed. */
const BEFORE_SIGNING = { step: 'build' } as const;

interface Built {
  readonly request: unknown;
}

/**
 * Leaves the body out of the signature of a request: its SHA-256 would cost more than all else of
 * it. The body is ciphertext that each reader authenticates; a CRC-32 in a signed header detects
 * accidents, and TLS protects it on the way.
 */
function unsignedBody<Args extends Built, Output>(
  next: (args: Args) => Promise<Output>,
): (args: Args) => Promise<Output> {
  return (args) => {
    const { headers } = args.request as { readonly headers: Record<string, string> };
    headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
    return next(args);
  };
}

/** Writes an object by one request. */
export function putObject(place: ObjectPlace, body: Uint8Array | string, facts: ObjectFacts): S3Call<unknown> {
  const command = new PutObjectCommand({
    ...place,
    ...facts,
    Body: body,
    ChecksumAlgorithm: CHECKSUM,
    IfNoneMatch: CREATE_ONLY,
  });
  command.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
  return (client, options) => client.send(command, options);
}

export function beginMultipart(place: ObjectPlace, facts: ObjectFacts = {}): S3Call<MultipartPlace> {
  const command = new CreateMultipartUploadCommand({ ...place, ...facts, ChecksumAlgorithm: CHECKSUM });
  return async (client, options) => {
    const { UploadId } = await client.send(command, options);
    if (UploadId === undefined) throw new DomainError('store_unavailable');
    return { ...place, UploadId };
  };
}

export function putPart(upload: MultipartPlace, number: number, body: Buffer): S3Call<CompletedPart> {
  const command = new UploadPartCommand({ ...upload, PartNumber: number, Body: body, ChecksumAlgorithm: CHECKSUM });
  command.middlewareStack.add(unsignedBody, BEFORE_SIGNING);
  return async (client, options) => {
    const { ETag, ChecksumCRC32 } = await client.send(command, options);
    return { PartNumber: number, ETag, ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }) };
  };
}

/** Makes the parts one object. */
export function completeMultipart(upload: MultipartPlace, parts: readonly CompletedPart[]): S3Call<unknown> {
  const command = new CompleteMultipartUploadCommand({
    ...upload,
    MultipartUpload: { Parts: [...parts] },
    IfNoneMatch: CREATE_ONLY,
  });
  return (client, options) => client.send(command, options);
}

export function abortMultipart(upload: MultipartPlace): S3Call<unknown> {
  const command = new AbortMultipartUploadCommand({ ...upload });
  return (client, options) => client.send(command, options);
}
