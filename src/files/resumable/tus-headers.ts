import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiResponse } from '@nestjs/swagger';
import { IncomingHttpHeaders } from 'node:http';
import { HashStream, sha1Stream, sha256Stream } from '../../crypto';
import { TUS_VERSION, tusRefusal } from '../../http';
import { DomainError } from '../../kernel';
import { UploadFields, parseUpload } from '../http/request/upload-fields';
import { UploadRequest } from '../model/file';

export const OFFSET_MEDIA_TYPE = 'application/offset+octet-stream';
export const EXTENSIONS = 'creation,creation-with-upload,expiration,checksum,termination';

/** Entries of one Upload-Metadata. */
const MAX_METADATA = 50;

const ALGORITHMS: Readonly<Record<string, { readonly hash: () => HashStream; readonly bytes: number }>> = {
  sha1: { hash: sha1Stream, bytes: 20 },
  sha256: { hash: sha256Stream, bytes: 32 },
};
export const CHECKSUM_ALGORITHMS = Object.keys(ALGORITHMS).join(',');

/** What a body must hash to. */
export interface Checksum {
  readonly hash: () => HashStream;
  readonly digest: Buffer;
}

/** An upload that is asked for, parsed. */
export interface NewUpload {
  readonly length: number;
  readonly file: UploadRequest;
  /** Upload-Metadata as it was sent; HEAD gives it back. */
  readonly metadata: string;
}

/** tus 1.0.0, "Creation". @throws DomainError `validation_failed` */
export function parseCreation(headers: IncomingHttpHeaders): NewUpload {
  for (const name of ['upload-defer-length', 'upload-concat']) {
    if (headers[name] !== undefined) throw invalid(`${name} belongs to an extension that is not offered here.`);
  }
  const metadata = headerOf(headers, 'upload-metadata') ?? '';
  return { length: wholeNumber(headers, 'upload-length'), file: describedBy(metadata), metadata };
}

/** @throws DomainError `validation_failed` */
export const parseOffset = (headers: IncomingHttpHeaders): number => wholeNumber(headers, 'upload-offset');

/** tus 1.0.0, "Checksum". Undefined where none is given. @throws DomainError `validation_failed` */
export function parseChecksum(headers: IncomingHttpHeaders): Checksum | undefined {
  const header = headerOf(headers, 'upload-checksum');
  if (header === undefined) return undefined;
  const [name = '', text = '', ...more] = header.split(' ');
  const algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (algorithm === undefined) throw invalid(`Upload-Checksum takes ${CHECKSUM_ALGORITHMS}.`);
  const digest = strictBase64(text);
  if (digest?.length !== algorithm.bytes || more.length > 0) throw invalid('Upload-Checksum is malformed.');
  return { hash: algorithm.hash, digest };
}

export function mediaTypeOf(headers: IncomingHttpHeaders): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** True where a request brings bytes, or says that it does. */
export const hasBody = (headers: IncomingHttpHeaders): boolean =>
  mediaTypeOf(headers) === OFFSET_MEDIA_TYPE ? contentLength(headers) !== 0 : (contentLength(headers) ?? 1) > 0;

/** Bytes of body that are announced; undefined where they come in chunks without a length. */
export function contentLength(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined;
  return Number(headers['content-length'] ?? 0);
}

/** What Upload-Metadata calls the fields of an upload. */
const WORDS = { name: 'filename', content_type: 'filetype', expires_in: 'expires_in' } as const;

/** Other keys are the client's own: kept and given back, and nothing else. */
function describedBy(header: string): UploadRequest {
  const pairs = metadataOf(header);
  const fields: Record<string, string> = {};
  for (const [field, word] of Object.entries(WORDS)) {
    const value = pairs.get(word);
    // Browsers know no type of many files, and clients then send the key without a value.
    if (value !== undefined && value !== '') fields[field] = value;
  }
  return parseUpload(fields satisfies UploadFields, 'form', WORDS);
}

function metadataOf(header: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  const sent = header === '' ? [] : header.split(',', MAX_METADATA + 1);
  if (sent.length > MAX_METADATA) throw invalid(`Upload-Metadata has more than ${MAX_METADATA} entries.`);
  for (const pair of sent) {
    const [key = '', value = '', ...more] = pair.trim().split(' ');
    const text = textOf(value);
    if (key === '' || more.length > 0 || text === undefined) throw invalid('Upload-Metadata is malformed.');
    if (pairs.has(key)) throw invalid('Upload-Metadata has a key twice.');
    pairs.set(key, text);
  }
  return pairs;
}

function textOf(base64: string): string | undefined {
  const bytes = strictBase64(base64);
  try {
    return bytes && new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Node decodes anything and drops what it does not know: a value would then not be the one that was
 * sent.
 */
function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '') ? bytes : undefined;
}

function wholeNumber(headers: IncomingHttpHeaders, name: string): number {
  const text = headerOf(headers, name);
  if (text === undefined || !/^\d{1,30}$/.test(text)) throw invalid(`${name} must be a whole number.`);
  return Number(text);
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

const invalid = (detail: string): DomainError => new DomainError('validation_failed', { detail });

/**
 * Documents that a route wants the version of the protocol, and with what it may refuse besides
 * what all of tus may.
 */
export const TusRequest = (...statuses: readonly number[]): MethodDecorator =>
  applyDecorators(
    ApiHeader({
      name: 'Tus-Resumable',
      required: true,
      description: 'The version of the protocol that the client speaks',
      schema: { type: 'string', enum: [TUS_VERSION], example: TUS_VERSION },
    }),
    ...statuses.map((status) => ApiResponse({ status, ...tusRefusal() })),
  );

/** Documents a body that is a piece of the content. */
export const TusPiece = ({ required }: { readonly required: boolean }): MethodDecorator =>
  applyDecorators(
    ApiConsumes(OFFSET_MEDIA_TYPE),
    ApiBody({ required, schema: { type: 'string', format: 'binary' } }),
    ApiHeader({
      name: 'Upload-Checksum',
      required: false,
      description: 'An algorithm of Tus-Checksum-Algorithm, and the digest of the body in base64',
    }),
  );

/** Documents a header that carries a number of bytes. */
export const TusCount = (name: string, description: string, example: number): MethodDecorator =>
  ApiHeader({ name, required: true, description, schema: { type: 'integer', format: 'int64', minimum: 0, example } });
