import { Ciphertext, ciphertext, plaintext } from '../../kernel';
import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';
import { UploadDoc } from './upload.collection';

/** What an upload keeps sealed besides the file's name. */
export interface UploadDetails {
  readonly contentType: string;
  /** From the moment the file is there. */
  readonly expiresInMs?: number;
  /** Upload-Metadata, as the client sent it. */
  readonly metadata: string;
}

type UploadRef = Pick<UploadDoc, '_id'>;

export const sealDetails = (keys: OwnerKeys, upload: UploadRef, details: UploadDetails): string =>
  seal(keys, placeOf(keys, upload, 'details'), JSON.stringify(details));

/** @throws DomainError `decryption_failed`, as `openDigest`. */
export const openDetails = (keys: OwnerKeys, row: UploadDoc): UploadDetails =>
  JSON.parse(open(keys, placeOf(keys, row, 'details'), row.details)) as UploadDetails;

export const sealDigest = (keys: OwnerKeys, upload: UploadRef, sha256: string): string =>
  seal(keys, placeOf(keys, upload, 'digest'), sha256);

export const openDigest = (keys: OwnerKeys, row: UploadDoc): string =>
  open(keys, placeOf(keys, row, 'digest'), row.digest ?? '');

/** The row with all that is sealed in it under the owner's current key. */
export function resealedUpload(keys: OwnerKeys, row: UploadDoc): UploadDoc {
  const details = sealDetails(keys, row, openDetails(keys, row));
  const digest = row.digest === undefined ? {} : { digest: sealDigest(keys, row, openDigest(keys, row)) };
  return { ...row, details, ...digest, seal_version: keys.version };
}

function seal(keys: OwnerKeys, place: EncryptionContext, text: string): string {
  const bytes = plaintext(Buffer.from(text, 'utf8'));
  const envelope = keys.seal('records', place, bytes);
  bytes.fill(0);
  return envelope.toString('hex');
}

function open(keys: OwnerKeys, place: EncryptionContext, hex: string): string {
  const envelope: Ciphertext = ciphertext(Buffer.from(hex, 'hex'));
  const bytes = keys.open('records', place, envelope);
  const text = bytes.toString('utf8');
  bytes.fill(0);
  return text;
}

const placeOf = (keys: OwnerKeys, upload: UploadRef, field: string): EncryptionContext => ({
  ownerId: keys.ownerId,
  resourceType: 'upload',
  resourceId: upload._id,
  field,
});
