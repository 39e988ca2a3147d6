import { Ciphertext, Plaintext, ciphertext, plaintext } from '../kernel';
import { ENVELOPE_OVERHEAD, OwnerKeys, EncryptionContext } from '../keys/user-keys';
import { SensitiveDataDoc } from './sensitive-data.collection';

export type SealedFields = Pick<SensitiveDataDoc, 'encrypted_value' | 'key_version'>;

/** Seals a value for one record of the owner: put into any other record, it does not open. */
export function sealValue(keys: OwnerKeys, recordId: string, value: string): SealedFields {
  const bytes = plaintext(Buffer.from(value, 'utf8'));
  const envelope = keys.seal('records', placeOf(keys.ownerId, recordId), bytes);
  bytes.fill(0);
  return { encrypted_value: envelope.toString('hex'), key_version: keys.version };
}

/** @throws DomainError `decryption_failed`. */
export function openValue(keys: OwnerKeys, row: SensitiveDataDoc): string {
  const bytes: Plaintext = keys.open('records', placeOf(row.user_id, row._id), envelopeOf(row));
  const value = bytes.toString('utf8');
  bytes.fill(0);
  return value;
}

/** The size of the value, by its envelope alone. */
export const valueBytes = ({ encrypted_value }: SealedFields): number =>
  Math.max(0, encrypted_value.length / 2 - ENVELOPE_OVERHEAD);

/** Characters that are no hex end the buffer early, so a damaged field arrives as a short envelope and fails like any other. */
const envelopeOf = (row: SensitiveDataDoc): Ciphertext => ciphertext(Buffer.from(row.encrypted_value, 'hex'));

const placeOf = (ownerId: string, recordId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'record',
  resourceId: recordId,
  field: 'encrypted_value',
});
