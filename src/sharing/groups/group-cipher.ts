import { ciphertext, plaintext } from '../../kernel';
import { OwnerKeys, EncryptionContext } from '../../keys/user-keys';
import { GroupDoc } from './group.collection';

export type SealedName = Pick<GroupDoc, 'name' | 'key_version'>;

export function sealGroupName(keys: OwnerKeys, groupId: string, name: string): SealedName {
  const bytes = plaintext(Buffer.from(name, 'utf8'));
  const envelope = keys.seal('records', placeOf(keys.ownerId, groupId), bytes);
  bytes.fill(0);
  return { name: envelope.toString('hex'), key_version: keys.version };
}

/** @throws DomainError `decryption_failed`. */
export function openGroupName(keys: OwnerKeys, row: GroupDoc): string {
  const bytes = keys.open('records', placeOf(row.owner_id, row._id), ciphertext(Buffer.from(row.name, 'hex')));
  const name = bytes.toString('utf8');
  bytes.fill(0);
  return name;
}

/** No file's name holds NUL, so no file and group share an index. */
export const groupNameIndex = (keys: OwnerKeys, name: string): string => keys.nameIndex(`\0group\0${name}`);

const placeOf = (ownerId: string, groupId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'group',
  resourceId: groupId,
  field: 'name',
});
