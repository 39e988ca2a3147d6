import { IncomingMessage } from 'node:http';
import { DomainError } from '../../kernel';
import { UploadFields, UploadRequest, isMediaType, parseUpload } from '../upload-request';
import { FormHead, MAX_OVERHEAD_BYTES, readForm } from './multipart';
import { received } from './received';

/** An upload whose description has been read and parsed, and whose content is still to come. */
export interface IncomingUpload {
  readonly request: UploadRequest;
  readonly content: AsyncIterable<Buffer>;
  /** At least so many bytes are announced; undefined for a body without Content-Length. */
  readonly declaredBytes: number | undefined;
  /** To be called when the upload has ended, in whatever way: what was not read of the body is dropped. */
  close(): void;
}

/**
 * Takes the two forms in which a file may come: a form with fields before the part `file`, or the bytes alone with the fields in the query.
 * @throws DomainError `validation_failed`, `unsupported_media_type`, `request_timeout`, `too_large`.
 */
export function openUpload(message: IncomingMessage, query: UploadFields): Promise<IncomingUpload> {
  checkEncoding(message);
  switch (mediaTypeOf(message)) {
    case 'multipart/form-data':
      return openForm(message, query);
    case 'application/octet-stream':
      return Promise.resolve(openRaw(message, query));
    default:
      throw unsupported('Send multipart/form-data, or application/octet-stream with ?name=.');
  }
}

async function openForm(message: IncomingMessage, query: UploadFields): Promise<IncomingUpload> {
  const inQuery = Object.keys(query).map((field) => ({
    pointer: `/${field}`,
    in: 'query' as const,
    message: 'is a field of the form here',
  }));
  if (inQuery.length > 0) throw new DomainError('validation_failed', { fields: inQuery });
  const form = await readForm(message.headers['content-type'] ?? '', received(message));
  try {
    const request = parseUpload(describedBy(form), 'form');
    return { request, content: form.content, declaredBytes: leastFileBytes(message), close: () => form.close() };
  } catch (error) {
    form.close();
    throw error;
  }
}

function describedBy(form: FormHead): UploadFields {
  return {
    ...(form.fileName !== undefined && { name: form.fileName }),
    ...(form.contentType !== undefined && isMediaType(form.contentType) && { content_type: form.contentType }),
    ...Object.fromEntries(form.fields),
  };
}

/** What a form can hold besides the file is left out: the file has at least so many bytes. */
function leastFileBytes(message: IncomingMessage): number | undefined {
  const bytes = contentLength(message);
  return bytes === undefined ? undefined : Math.max(0, bytes - MAX_OVERHEAD_BYTES);
}

function openRaw(message: IncomingMessage, query: UploadFields): IncomingUpload {
  const request = parseUpload(query, 'query');
  return { request, content: received(message), declaredBytes: contentLength(message), close: () => undefined };
}

/** Bytes are kept as they come, and never unpacked: neither what they unpack to nor how much of it is anybody's guess. */
function checkEncoding(message: IncomingMessage): void {
  const encoding = message.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw unsupported('Send the body without a content encoding.');
}

const mediaTypeOf = (message: IncomingMessage): string =>
  (message.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

function contentLength(message: IncomingMessage): number | undefined {
  const header = message.headers['content-length'];
  return header === undefined ? undefined : Number(header);
}

const unsupported = (detail: string): DomainError => new DomainError('unsupported_media_type', { detail });
