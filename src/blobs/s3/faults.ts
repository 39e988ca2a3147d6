import { DomainError, ErrorCode, StartRefused } from '../../kernel';

const ABSENT = new Set(['NoSuchKey', 'NotFound']);
/** Somebody else made the object first, or ended the upload. */
const CONFLICT = new Set(['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchUpload']);
const FULL = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'StorageFull',
  'InsufficientStorage',
  'BucketQuotaExceeded',
]);

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** The HTTP status of an answer; undefined where the server did not answer at all. */
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

/** The port's error for one of the SDK's, whose text (endpoints, key ids, request ids) stays in the cause. */
export function s3Fault(error: unknown): DomainError {
  return error instanceof DomainError ? error : new DomainError(codeOf(error), { cause: error });
}

/** For what a start tries. @throws StartRefused where the credentials do not allow it, or the fault. */
export const refusedWith =
  (what: string) =>
  (error: unknown): never => {
    const status = answerStatus(error instanceof DomainError ? error.cause : undefined);
    if (status !== 403) throw error;
    throw new StartRefused(`The S3 credentials (AWS_ACCESS_KEY_ID) may not ${what} in S3_BUCKET (docs/operations.md).`);
  };
