import { FastifyReply } from 'fastify';
import { DomainError, ErrorCode } from '../kernel';
import { CODES } from './problem';
import { problemHeaders } from './problem-headers';

export const TUS_VERSION = '1.0.0';

/** Headers of every response of a tus route, except OPTIONS. */
export const TUS_HEADERS = Object.freeze({ 'tus-resumable': TUS_VERSION });

/** Another request is writing to this upload (423 as in RFC 4918, 11.3; tus servers use it). */
export class UploadLocked extends DomainError {
  constructor() {
    super('conflict', { detail: 'Another request is writing to this upload.', retryAfterSeconds: 1 });
  }
}

/** Statuses that tus defines. */
const STATUSES: Partial<Record<ErrorCode, number>> = { checksum_mismatch: 460 };
const LOCKED = 423;

/** Sends an error in the form of tus: the protocol's status, and a line of text for people. */
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
