import { ENVELOPE_OVERHEAD, OwnerKeys, EncryptionContext } from '../keys/user-keys';
import { SensitiveDataDoc } from './sensitive-data.collection';

export type SealedFields = Pick<SensitiveDataDoc, 'encrypted_value' | 'key_version'>;

/** Encrypts a value for one record of the owner: in any other record it does not open. */
export function sealValue(keys: OwnerKeys, recordId: string, value: string): SealedFields {
  return { encrypted_value: keys.sealText(contextOf(keys.ownerId, recordId), value), key_version: keys.version };
}

/** @throws DomainError `decryption_failed`. */
export const openValue = (keys: OwnerKeys, row: SensitiveDataDoc): string =>
  keys.openText(contextOf(row.user_id, row._id), row.encrypted_value);

/** The size of the value, by its envelope alone. */
export const valueBytes = ({ encrypted_value }: SealedFields): number =>
  Math.max(0, encrypted_value.length / 2 - ENVELOPE_OVERHEAD);

const contextOf = (ownerId: string, recordId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'record',
  resourceId: recordId,
  field: 'encrypted_value',
});
