/**
 * The one error that Coffer's own code throws on purpose. `code` is stable and documented
 * (docs/api.md); the HTTP status that belongs to it is known in http/ only.
 */
export const ERROR_CODES = [
  'validation_failed',
  'weak_password',
  'invalid_value',
  'invalid_cursor',
  'no_pending_registration',
  'invalid_json',
  'unauthenticated',
  'token_expired',
  'invalid_session',
  'login_failed',
  'otp_failed',
  'step_up_required',
  'permission_denied',
  'insufficient_scope',
  'account_disabled',
  'not_found',
  'file_not_found',
  'method_not_allowed',
  'request_timeout',
  'user_exists',
  'file_exists',
  'rotation_running',
  'version_in_use',
  'conflict',
  'idempotency_running',
  'link_expired',
  'precondition_failed',
  'too_large',
  'unsupported_media_type',
  'range_not_satisfiable',
  'decryption_failed',
  'integrity_failed',
  'checksum_mismatch',
  'idempotency_mismatch',
  'precondition_required',
  'too_many_attempts',
  'rate_limited',
  'headers_too_large',
  'internal',
  'overloaded',
  'kms_unavailable',
  'store_unavailable',
  'mail_unavailable',
  'audit_unavailable',
  'shutting_down',
  'storage_full',
  'quota_exceeded',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * One faulty input field; `pointer` is a JSON Pointer (RFC 6901). Never carries the value that was
 * sent.
 */
export interface FieldFault {
  readonly pointer: string;
  /** The part of the request that `pointer` goes into; the body where nothing is said. */
  readonly in?: 'query' | 'path' | 'header';
  readonly message: string;
}

export type ProblemExtensions = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface DomainErrorOptions {
  /** A sentence for the caller. Never a value that was sent, a driver's text, or a secret. */
  readonly detail?: string;
  readonly fields?: readonly FieldFault[];
  /** Seconds until a retry may succeed (429, 503). */
  readonly retryAfterSeconds?: number;
  /** Further members of the problem document, as `rotation_id` in `rotation_running`. */
  readonly extensions?: ProblemExtensions;
  /**
   * For the log: what does not serve, and why, in words of ours. Never what a server wrote, an
   * address or a secret.
   */
  readonly reason?: string;
  readonly cause?: unknown;
}

export class DomainError extends Error {
  readonly detail: string | undefined;
  readonly fields: readonly FieldFault[];
  readonly retryAfterSeconds: number | undefined;
  readonly extensions: ProblemExtensions;
  readonly reason: string | undefined;

  constructor(
    readonly code: ErrorCode,
    options: DomainErrorOptions = {},
  ) {
    super(options.detail ?? code, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'DomainError';
    this.detail = options.detail;
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.extensions = options.extensions ?? {};
    this.reason = options.reason;
  }
}

/** True for a DomainError of one of these codes (of any code, where none is named). */
export function isDomainError(error: unknown, ...codes: ErrorCode[]): error is DomainError {
  return error instanceof DomainError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * An envelope names a key version that its owner has no more: the row was read, then sealed again,
 * and then the version was dropped. Who reads the row again finds the new envelope
 * (`retryOnStaleKey`); where it does not, the value is damaged.
 */
export class StaleKeyVersionError extends DomainError {
  constructor() {
    super('decryption_failed');
  }
}

/** The client ended a body before its last byte, or nothing of it came for too long. */
export class TransferAborted extends DomainError {}
