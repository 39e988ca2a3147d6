import { HttpException } from '@nestjs/common';
import { DomainError, DomainErrorOptions, ErrorCode } from '../kernel';

/** A refusal that needs headers of its own, as 405 with Allow. Made in http/ only. */
export class HttpError extends DomainError {
  constructor(
    code: ErrorCode,
    options: DomainErrorOptions,
    readonly headers: Readonly<Record<string, string>>,
  ) {
    super(code, options);
  }
}

/** The only way to make a 405: RFC 9110, 15.5.6, wants Allow in each. */
export const methodNotAllowed = (allowed: readonly string[], options: DomainErrorOptions = {}): HttpError =>
  new HttpError('method_not_allowed', options, { allow: allowed.join(', ') });

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'validation_failed',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'too_large',
  414: 'not_found',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
};

/**
 * What the framework or an unforeseen fault threw, as an error of ours. The text of the original goes into the log at most: it may hold
 * a URL, a driver's message or a value that was sent.
 */
export function toDomainError(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  const code = BY_STATUS[statusOf(thrown)] ?? 'internal';
  return new DomainError(code, { cause: thrown });
}

function statusOf(thrown: unknown): number {
  if (thrown instanceof HttpException) return thrown.getStatus();
  // Fastify's own errors, where Nest has not wrapped them.
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown) || !('code' in thrown)) return 0;
  const { statusCode, code } = thrown;
  return typeof statusCode === 'number' && String(code).startsWith('FST_') ? statusCode : 0;
}
