import { encodeContext, hkdf, hmacSha256 } from '../crypto';
import { DomainError, FieldFault, SystemSecrets } from '../kernel';
import { EncryptionContext, OwnerKeys } from '../keys/user-keys';

const MAX_BYTES = 255;
const PURPOSE = 'coffer/subject-index/v1';

/** The header that names the subject of a request. */
export const SUBJECT_HEADER = 'Coffer-Subject';

/** An external id that was sent as text; undefined where none may look so. */
export function externalId(text: string): string | undefined {
  const isText = (text as string & { isWellFormed(): boolean }).isWellFormed() && text !== '';
  return isText && Buffer.byteLength(text, 'utf8') <= MAX_BYTES ? text : undefined;
}

/**
 * The subject that the header names; undefined where it is absent.
 * @throws DomainError `validation_failed`
 */
export function subjectOf(headers: readonly string[]): string | undefined {
  const [value] = headers;
  if (value === undefined) return undefined;
  if (headers.length > 1) throw invalidHeader('is sent more than once');
  const decoded = percentDecoded(value);
  if (decoded === undefined) throw invalidHeader('is not UTF-8 in percent-encoding');
  if (decoded === '') throw invalidHeader('is empty');
  const id = externalId(decoded);
  if (id === undefined) throw invalidHeader(`is longer than ${MAX_BYTES} bytes`);
  return id;
}

// Node gives header bytes as Latin-1: whatever is not ASCII has to be percent-encoded, or it would
// be another text.
function percentDecoded(value: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(value)) return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}

export const invalidHeader = (message: string): DomainError => {
  const fault: FieldFault = { pointer: `/${SUBJECT_HEADER.toLowerCase()}`, in: 'header', message };
  return new DomainError('validation_failed', { fields: [fault] });
};

/** Finds a subject by its external id, which itself stands nowhere in clear: lowercase hex. */
export function externalIndex(secrets: SystemSecrets, accountId: string, id: string): string {
  const key = hkdf(secrets.oneTimeCodes, Buffer.from(accountId, 'utf8'), PURPOSE);
  try {
    return hmacSha256(key, encodeContext([accountId, id])).toString('hex');
  } finally {
    key.destroy();
  }
}

const contextOf = (subjectId: string): EncryptionContext => ({
  ownerId: subjectId,
  resourceType: 'subject',
  resourceId: subjectId,
  field: 'external_id',
});

/** Record envelope in hex. */
export const sealExternalId = (keys: OwnerKeys, id: string): string =>
  keys.sealText(contextOf(keys.ownerId), id, 'secrets');

/** @throws DomainError `decryption_failed` */
export const openExternalId = (keys: OwnerKeys, sealed: string): string =>
  keys.openText(contextOf(keys.ownerId), sealed, 'secrets');
