import { ENVELOPE_OVERHEAD, OwnerKeys, EncryptionContext } from '../keys/user-keys';
import { SensitiveDataDoc } from './sensitive-data.collection';

export type SealedFields = Pick<SensitiveDataDoc, 'encrypted_value' | 'key_version'>;

/**
 * Encrypts a value for one record of the owner; the ciphertext does not decrypt in any other
 * record.
 */
export function sealValue(keys: OwnerKeys, recordId: string, value: string): SealedFields {
  return { encrypted_value: keys.sealText(contextOf(keys.ownerId, recordId), value), key_version: keys.version };
}

/** @throws DomainError `decryption_failed` */
export const openValue = (keys: OwnerKeys, row: SensitiveDataDoc): string =>
  keys.openText(contextOf(row.user_id, row._id), row.encrypted_value);

/** Size of the value, computed from its envelope. */
export const valueBytes = ({ encrypted_value }: SealedFields): number =>
  Math.max(0, encrypted_value.length / 2 - ENVELOPE_OVERHEAD);

const contextOf = (ownerId: string, recordId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'record',
  resourceId: recordId,
  field: 'encrypted_value',
});
