import { HttpException } from '@nestjs/common';
import { DomainError, DomainErrorOptions, ErrorCode } from '../kernel';

/** An error with its own headers, such as 405 with Allow. Created only in http/. */
export class HttpError extends DomainError {
  constructor(
    code: ErrorCode,
    options: DomainErrorOptions,
    readonly headers: Readonly<Record<string, string>>,
  ) {
    super(code, options);
  }
}

/** The only way to create a 405, because RFC 9110, 15.5.6, requires Allow. */
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
 * Converts an error of the framework or an unexpected error to a DomainError. The original text
 * goes only to the log, because it may hold a URL, a driver's message or a value of the request.
 */
export function toDomainError(thrown: unknown): DomainError {
  if (thrown instanceof DomainError) return thrown;
  const code = BY_STATUS[statusOf(thrown)] ?? 'internal';
  return new DomainError(code, { cause: thrown });
}

function statusOf(thrown: unknown): number {
  if (thrown instanceof HttpException) return thrown.getStatus();
  // Errors of Fastify that Nest has not wrapped.
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown) || !('code' in thrown)) return 0;
  const { statusCode, code } = thrown;
  return typeof statusCode === 'number' && String(code).startsWith('FST_') ? statusCode : 0;
}
