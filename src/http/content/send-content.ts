import { HttpStatus } from '@nestjs/common';
import { create as contentDisposition } from 'content-disposition';
import { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { HttpError } from '../refusal';
import { ByteRange, chooseRange } from './byte-range';
import { evaluate, rangeApplies, Validators } from './preconditions';

/** Content that a route serves. HEAD does not call `open`; a 304 calls neither method. */
export interface Content extends Validators {
  readonly size: number;
  describe(): Promise<{ readonly contentType: string; readonly fileName: string }>;
  /**
   * Resolves when the first bytes have verified. A later fault destroys the stream, and with it the
   * connection.
   */
  open(range: ByteRange | undefined): Promise<Readable>;
}

/**
 * Responds to GET or HEAD with a content (RFC 9110): conditions and one range.
 * The response is always a download (`attachment`, `nosniff`), so that no browser executes stored
 * content.
 * @throws DomainError `precondition_failed`, `range_not_satisfiable`, errors of `content`
 */
export async function sendContent(request: FastifyRequest, reply: FastifyReply, content: Content): Promise<void> {
  const validators = {
    etag: content.etag,
    'last-modified': new Date(content.modifiedAt).toUTCString(),
    'accept-ranges': 'bytes',
  };
  if (evaluate(request.headers, content) === 'not-modified') {
    await reply.code(HttpStatus.NOT_MODIFIED).headers(validators).send();
    return;
  }
  const head = request.method === 'HEAD';
  const range = head ? undefined : rangeOf(request, content);
  const description = await describe(content, range);
  // An empty stream keeps the content-length of the GET; without a payload Fastify would set it to
  // 0.
  const body = head ? Readable.from([]) : await content.open(range);
  await reply
    .code(range === undefined ? HttpStatus.OK : HttpStatus.PARTIAL_CONTENT)
    .headers({ ...validators, ...description })
    .send(body);
}

/** HEAD ignores Range, which RFC 9110, 14.2, defines only for GET. */
function rangeOf(request: FastifyRequest, content: Content): ByteRange | undefined {
  if (!rangeApplies(request.headers['if-range'] as string | undefined, content)) return undefined;
  const choice = chooseRange(request.headers.range, content.size);
  if (choice.kind === 'unsatisfiable') {
    const detail = 'The range lies beyond the end of the content.';
    throw new HttpError('range_not_satisfiable', { detail }, { 'content-range': `bytes */${content.size}` });
  }
  return choice.kind === 'part' ? choice.range : undefined;
}

async function describe(content: Content, range: ByteRange | undefined): Promise<Record<string, string>> {
  const { contentType, fileName } = await content.describe();
  const { start, end } = range ?? { start: 0, end: content.size - 1 };
  return {
    'content-type': contentType,
    'content-length': String(end + 1 - start),
    'content-disposition': contentDisposition(fileName),
    'x-content-type-options': 'nosniff',
    ...(range !== undefined && { 'content-range': `bytes ${start}-${end}/${content.size}` }),
  };
}
