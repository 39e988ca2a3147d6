import { DomainError, ErrorCode, FieldFault } from '../kernel';

interface CodeFacts {
  readonly status: number;
  readonly title: string;
}

/**
 * The only mapping of error codes to HTTP statuses. Complete by its type; a test compares it with
 * docs/api.md.
 */
export const CODES: Readonly<Record<ErrorCode, CodeFacts>> = Object.freeze({
  validation_failed: { status: 400, title: 'The request is not valid' },
  weak_password: { status: 400, title: 'The password is too weak' },
  invalid_value: { status: 400, title: 'The value does not fit its type' },
  invalid_cursor: { status: 400, title: 'The cursor is not valid' },
  no_pending_registration: { status: 400, title: 'There is no such pending registration' },
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  unauthenticated: { status: 401, title: 'Authentication is required' },
  token_expired: { status: 401, title: 'The access token has expired' },
  invalid_session: { status: 401, title: 'The session is not valid' },
  login_failed: { status: 401, title: 'The login failed' },
  otp_failed: { status: 401, title: 'The code is not valid' },
  step_up_required: { status: 401, title: 'A fresh login is required' },
  permission_denied: { status: 403, title: 'This is not allowed' },
  insufficient_scope: { status: 403, title: 'The token lacks a scope' },
  account_disabled: { status: 403, title: 'The account is disabled' },
  not_found: { status: 404, title: 'Not found' },
  file_not_found: { status: 404, title: 'There is no such file' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  user_exists: { status: 409, title: 'The user name is taken' },
  file_exists: { status: 409, title: 'The file name is taken' },
  rotation_running: { status: 409, title: 'A rotation is running' },
  version_in_use: { status: 409, title: 'The key version is in use' },
  conflict: { status: 409, title: 'The request conflicts with the current state' },
  idempotency_running: { status: 409, title: 'The first request with this key is still running' },
  link_expired: { status: 410, title: 'The link has expired' },
  precondition_failed: { status: 412, title: 'The precondition does not hold' },
  too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The media type is not supported here' },
  range_not_satisfiable: { status: 416, title: 'The range cannot be served' },
  decryption_failed: { status: 422, title: 'Decryption failed' },
  integrity_failed: { status: 422, title: 'MAC verification of stored data failed' },
  checksum_mismatch: { status: 422, title: 'The checksum does not match' },
  idempotency_mismatch: { status: 422, title: 'The key was used for another request' },
  precondition_required: { status: 428, title: 'A precondition is required' },
  too_many_attempts: { status: 429, title: 'Too many attempts' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'An internal error' },
  overloaded: { status: 503, title: 'The service is overloaded' },
  kms_unavailable: { status: 503, title: 'The key service is not available' },
  store_unavailable: { status: 503, title: 'The store is not available' },
  mail_unavailable: { status: 503, title: 'Mail cannot be sent' },
  audit_unavailable: { status: 503, title: 'The audit log cannot be written' },
  shutting_down: { status: 503, title: 'The service is shutting down' },
  storage_full: { status: 507, title: 'The storage is full' },
  quota_exceeded: { status: 507, title: 'The quota is used up' },
});

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** RFC 9457, with the members that every problem of Coffer has. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** `urn:request:<id>`; the log has the same id. */
  readonly instance: string;
  readonly code: ErrorCode;
  readonly errors?: readonly FieldFault[];
}

/**
 * A URN, not a URL, because it only identifies and need not resolve. docs/api.md explains each
 * code.
 */
export const problemType = (code: ErrorCode): string => `urn:coffer:problem:${code}`;

export function problemOf(error: DomainError, requestId: string): Problem {
  const { status, title } = CODES[error.code];
  return {
    ...error.extensions,
    type: problemType(error.code),
    title,
    status,
    detail: error.detail ?? `${title}.`,
    instance: `urn:request:${requestId}`,
    code: error.code,
    ...(error.fields.length > 0 && { errors: error.fields }),
  };
}
