import { applyDecorators } from '@nestjs/common';
import { ApiExtension, OpenAPIObject } from '@nestjs/swagger';
import { Operation, operationsOf, responsesOf } from './document';

const EXTENSION = 'x-coffer-answer-headers';

type Extended = Operation & { [EXTENSION]?: readonly AnswerHeader[] };

const text = (description: string, example?: string) => ({
  description,
  schema: { type: 'string', ...(example !== undefined && { example }) },
});
const whole = (description: string) => ({ description, schema: { type: 'integer', format: 'int64' } });

/** All response headers of the API, by the names under which the document shares them. */
const HEADERS = {
  'Accept-Ranges': text('Ranges of bytes may be asked for', 'bytes'),
  'Clear-Site-Data': text('Lets a browser forget what it has of this site'),
  'Content-Disposition': text('Always a download, with the name of the file'),
  'Content-Range': text('Which bytes these are, and of how many', 'bytes 0-1023/48213'),
  ETag: text('The state that If-Match, If-None-Match and If-Range name', '"1"'),
  'File-Id': text('The file that the upload has become'),
  'Last-Modified': text('When this content came'),
  Link: text('The next page, with `rel="next"`; absent on the last one'),
  Location: text('The address of what was made'),
  RateLimit: text('What is left of the limit, and until when'),
  'RateLimit-Policy': text('The limit'),
  'Retry-After': whole('Seconds after which to try again'),
  'Set-Cookie': text('The ticket, for browsers'),
  'Tus-Checksum-Algorithm': text('What Upload-Checksum takes'),
  'Tus-Extension': text('The extensions that are offered'),
  'Tus-Max-Size': whole('Bytes that an upload may have'),
  'Tus-Resumable': text('The version of the protocol', '1.0.0'),
  'Tus-Version': text('The versions that are offered', '1.0.0'),
  'Upload-Expires': text('Until when the upload may be gone on with'),
  'Upload-Length': whole('Bytes that the upload will have'),
  'Upload-Metadata': text('As the upload was created with it'),
  'Upload-Offset': whole('Bytes that are here'),
  'WWW-Authenticate': text('The challenge of RFC 6750, and of RFC 9470 where a login is too old'),
  'X-Request-Id': text('The id of the request, which the log has too'),
} as const;

export type AnswerHeader = keyof typeof HEADERS;

/**
 * Documents the headers of a route's successful responses. Headers of every response are added
 * automatically.
 */
export const AnswerHeaders = (...names: readonly AnswerHeader[]): MethodDecorator =>
  applyDecorators(ApiExtension(EXTENSION, names));

/** Adds the declared headers to the responses, and the headers of each status. */
export function documentHeaders(document: OpenAPIObject): void {
  for (const operation of operationsOf(document)) {
    const declared = takeDeclared(operation);
    for (const [status, response] of responsesOf(operation)) {
      const names = [...(isSuccess(status) ? declared : []), ...ofStatus(status)];
      const added = names.map((name) => [name, { $ref: `#/components/headers/${name}` }] as const);
      response.headers = { ...response.headers, ...Object.fromEntries(added) };
    }
  }
  document.components = { ...document.components, headers: { ...HEADERS } };
}

function takeDeclared(operation: Operation): readonly AnswerHeader[] {
  const extended: Extended = operation;
  const declared = extended[EXTENSION] ?? [];
  delete extended['x-coffer-answer-headers'];
  return declared;
}

const isSuccess = (status: string): boolean => /^[23]/.test(status);

function ofStatus(status: string): readonly AnswerHeader[] {
  const own: Readonly<Record<string, readonly AnswerHeader[]>> = {
    '206': ['Content-Range'],
    '401': ['WWW-Authenticate'],
    '416': ['Content-Range'],
    '423': ['Retry-After'],
    '429': ['Retry-After', 'RateLimit', 'RateLimit-Policy'],
    '503': ['Retry-After'],
  };
  return [...(own[status] ?? []), 'X-Request-Id'];
}
