import { FastifyReply } from 'fastify';
import { DomainError, ErrorCode } from '../kernel';
import { CODES } from './problem';
import { problemHeaders } from './problem-headers';

export const TUS_VERSION = '1.0.0';

/** What every answer of a tus route has, but that to OPTIONS. */
export const TUS_HEADERS = Object.freeze({ 'tus-resumable': TUS_VERSION });

/** Another request is writing to this upload at the moment (RFC 4918, 11.3, as tus servers use it). */
export class UploadLocked extends DomainError {
  constructor() {
    super('conflict', { detail: 'Another request is writing to this upload.', retryAfterSeconds: 1 });
  }
}

/** Where tus has statuses of its own. */
const STATUSES: Partial<Record<ErrorCode, number>> = { checksum_mismatch: 460 };
const LOCKED = 423;

/** A refusal as tus clients expect it: the protocol's status, and a line of text for people. */
export function sendTusRefusal(error: DomainError, reply: FastifyReply): void {
  const locked = error instanceof UploadLocked;
  const status = locked ? LOCKED : (STATUSES[error.code] ?? CODES[error.code].status);
  const headers = {
    ...problemHeaders(error),
    ...TUS_HEADERS,
    ...(error.code === 'precondition_failed' && { 'tus-version': TUS_VERSION }),
    ...(locked && { 'retry-after': '1' }),
    'content-type': 'text/plain; charset=utf-8',
  };
  void reply
    .code(status)
    .headers(headers)
    .send(`${textOf(error)}\n`);
}

function textOf(error: DomainError): string {
  const faults = error.fields.map(({ pointer, message }) => `${pointer.slice(1)} ${message}`.trim());
  return [error.detail ?? `${CODES[error.code].title}.`, ...faults].join('\n');
}
