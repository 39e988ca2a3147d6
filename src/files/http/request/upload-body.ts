import { IncomingMessage } from 'node:http';
import { ChunkBatch, DomainError } from '../../../kernel';
import { checkSize } from '../../content/pipeline';
import { ContentRequest, UploadRequest, isMediaType } from '../../model/file';
import { readBody, readBodyReleasing } from './body-reader';
import { FormHead, MAX_OVERHEAD_BYTES, readForm } from './multipart';
import { FieldSource, UploadFields, parseContent, parseUpload } from './upload-fields';

/** An upload whose description has been parsed, and whose content has not been read. */
export interface IncomingUpload<Request extends ContentRequest = UploadRequest> {
  readonly request: Request;
  readonly body: AsyncIterable<ChunkBatch>;
  /** A lower bound of the size, by Content-Length; undefined without one. */
  readonly declaredBytes: number | undefined;
  /** The caller calls it when the upload has ended: it discards the rest of the body. */
  close(): void;
}

interface Reading<Request> {
  readonly parse: (fields: UploadFields, source: FieldSource) => Request;
  /** Whether the file name of the part is a name for the file. */
  readonly takesName: boolean;
  /** The largest file: a form that announces more is refused before it is read. */
  readonly largest: number;
}

/** A new file. @throws as `openBody`. */
export const openUpload = (
  message: IncomingMessage,
  query: UploadFields,
  largest = Infinity,
): Promise<IncomingUpload> => openBody(message, query, { parse: parseUpload, takesName: true, largest });

/** A new content of a file that has its name. @throws as `openBody`. */
export const openContent = (
  message: IncomingMessage,
  query: UploadFields,
  largest = Infinity,
): Promise<IncomingUpload<ContentRequest>> =>
  openBody(message, query, { parse: parseContent, takesName: false, largest });

/**
 * Accepts a form with fields before the part `file`, or the bytes alone with the fields in the
 * query.
 * @throws DomainError `validation_failed`, `unsupported_media_type`, `request_timeout`,
 * `too_large`.
 */
function openBody<Request extends ContentRequest>(
  message: IncomingMessage,
  query: UploadFields,
  reading: Reading<Request>,
): Promise<IncomingUpload<Request>> {
  checkEncoding(message);
  switch (mediaTypeOf(message)) {
    case 'multipart/form-data':
      return openForm(message, query, reading);
    case 'application/octet-stream':
      return Promise.resolve(openRaw(message, query, reading));
    default:
      throw unsupported('Send multipart/form-data, or application/octet-stream with the fields in the query.');
  }
}

async function openForm<Request extends ContentRequest>(
  message: IncomingMessage,
  query: UploadFields,
  reading: Reading<Request>,
): Promise<IncomingUpload<Request>> {
  const inQuery = Object.keys(query).map((field) => ({
    pointer: `/${field}`,
    in: 'query' as const,
    message: 'is a field of the form here',
  }));
  if (inQuery.length > 0) throw new DomainError('validation_failed', { fields: inQuery });
  const declaredBytes = leastFileBytes(message);
  checkSize(declaredBytes ?? 0, { largest: reading.largest, quota: Infinity });
  const form = await readForm(message.headers['content-type'] ?? '', readBody(message));
  try {
    const request = reading.parse(describedBy(form, reading.takesName), 'form');
    return { request, body: form.content, declaredBytes, close: () => form.close() };
  } catch (error) {
    form.close();
    throw error;
  }
}

function describedBy(form: FormHead, takesName: boolean): UploadFields {
  return {
    ...(takesName && form.fileName !== undefined && { name: form.fileName }),
    ...(form.contentType !== undefined && isMediaType(form.contentType) && { content_type: form.contentType }),
    ...Object.fromEntries(form.fields),
  };
}

/** A lower bound of the file's size: Content-Length less what a form can hold besides. */
function leastFileBytes(message: IncomingMessage): number | undefined {
  const bytes = contentLength(message);
  return bytes === undefined ? undefined : Math.max(0, bytes - MAX_OVERHEAD_BYTES);
}

function openRaw<Request extends ContentRequest>(
  message: IncomingMessage,
  query: UploadFields,
  { parse }: Reading<Request>,
): IncomingUpload<Request> {
  const request = parse(query, 'query');
  return { request, body: readBodyReleasing(message), declaredBytes: contentLength(message), close: () => undefined };
}

/** Bodies are never decompressed: a small one could expand without bound. */
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
