import { DomainError, ErrorCode, StartupError } from '../../kernel';

const ABSENT = new Set(['NoSuchKey', 'NotFound']);
/** Another writer made the object first, or ended the upload. */
const CONFLICT = new Set(['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchUpload']);
const FULL = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'StorageFull',
  'InsufficientStorage',
  'BucketQuotaExceeded',
]);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** The HTTP status of a response; undefined where the server did not respond. */
export function answerStatus(error: unknown): number | undefined {
  const metadata = (error as { readonly $metadata?: { readonly httpStatusCode?: number } } | undefined)?.$metadata;
  return metadata?.httpStatusCode;
}

function codeOf(error: unknown): ErrorCode {
  const name = nameOf(error);
  if (CONFLICT.has(name)) return 'conflict';
  if (FULL.has(name) || answerStatus(error) === 507) return 'storage_full';
  return ABSENT.has(name) ? 'not_found' : 'store_unavailable';
}

/**
 * The port's error for one of the SDK's, whose text (endpoints, key ids, request ids) stays in the
 * cause.
 */
export function s3Fault(error: unknown): DomainError {
  return error instanceof DomainError ? error : new DomainError(codeOf(error), { cause: error });
}

/** Statuses after which the same request may succeed later, below 500. */
const PASSING = new Set([408, 425, 429]);
const HINTS: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make the bucket first, production makes none',
  NotImplemented: 'the server lacks what Coffer needs: conditional writes and checksums',
  PermanentRedirect: 'S3_REGION or S3_ENDPOINT is not that of the bucket',
  AuthorizationHeaderMalformed: 'S3_REGION is not that of the bucket',
  IllegalLocationConstraintException: 'S3_REGION is not that of the bucket',
};

/** A response that refuses for good: S3's own code, where it names one, and the HTTP status. */
export interface Refusal {
  readonly code: string | undefined;
  readonly status: number;
}

/** Undefined where the server did not respond, or where the same request may succeed later. */
export function refusalOf(error: unknown): Refusal | undefined {
  const cause = error instanceof DomainError ? error.cause : error;
  const status = answerStatus(cause);
  if (status === undefined || (status >= 500 && status !== 501) || PASSING.has(status)) return undefined;
  // The SDK invents names for a response without a code, which HEAD never has.
  const name = nameOf(cause);
  const isCode = /^[A-Za-z][A-Za-z0-9.]{2,63}$/.test(name) && !/^Unknown|Error$/.test(name);
  return { code: isCode ? name : undefined, status };
}

export const refusalText = ({ code, status }: Refusal): string =>
  code === undefined ? `HTTP ${status}` : `${code} (HTTP ${status})`;

/**
 * For the requests of a start.
 * @throws StartupError with S3's own code where it refuses for good, or the fault.
 */
export const refusedWith =
  (what: string) =>
  (error: unknown): never => {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    const text = `${refusalText(refusal)}${hintOf(refusal)}`;
    throw new StartupError(`S3 refuses to ${what} S3_BUCKET: ${text} (docs/operations.md, "Blob stores").`);
  };

function hintOf({ code, status }: Refusal): string {
  const hint = code === undefined ? undefined : HINTS[code];
  if (hint !== undefined) return `, ${hint}`;
  if (status === 403) return ', look at AWS_ACCESS_KEY_ID and its rights';
  if (status === 501) return `, ${HINTS['NotImplemented'] ?? ''}`;
  return status < 400 ? `, ${HINTS['PermanentRedirect'] ?? ''}` : '';
}
