import { EncryptionContext, OwnerKeys } from '../../keys/user-keys';
import { Doc, defineCollection, digest, encrypted, plain } from '../../store';

/**
 * `pending`: being created, invisible. `deleting`: invisible, its grants and members are being
 * removed.
 */
export type GroupState = 'pending' | 'active' | 'deleting';

/** A named set of accounts, to which its owner grants together. */
export interface GroupDoc extends Doc {
  readonly owner_id: string;
  readonly state: GroupState;
  /**
   * HMAC of the name under the owner's name key. A removal drops it first, so that the name is free
   * at once.
   */
  readonly name_index?: string;
  /** Record envelope, lowercase hex. */
  readonly name: string;
  /** The user key version in the envelope. */
  readonly key_version: number;
  readonly created_at: number;
  /** Only while pending or deleting: what the sweeper lists by. */
  readonly changing_since?: number;
}

export const groupCollection = defineCollection<GroupDoc>({
  name: 'groups',
  fields: {
    owner_id: plain.string,
    state: plain.string,
    name_index: digest.string,
    name: encrypted.string,
    key_version: plain.number,
    created_at: plain.time,
    changing_since: plain.time,
  },
  owner: 'owner_id',
  keyVersions: ['key_version'],
  indexes: {
    owner: { fields: ['owner_id', 'state', 'created_at'] },
    name: { fields: ['owner_id', 'name_index'], unique: true },
    owner_version: { fields: ['owner_id', 'key_version'] },
    changing: { fields: ['changing_since'] },
  },
  tampered: 'absent',
});

/** One account in one group. */
export interface GroupMemberDoc extends Doc {
  readonly group_id: string;
  /** The group's owner. */
  readonly owner_id: string;
  readonly user_id: string;
  readonly created_at: number;
}

export const groupMemberCollection = defineCollection<GroupMemberDoc>({
  name: 'group_members',
  fields: { group_id: plain.string, owner_id: plain.string, user_id: plain.string, created_at: plain.time },
  indexes: {
    member: { fields: ['group_id', 'user_id'], unique: true },
    group: { fields: ['group_id', 'created_at'] },
    user: { fields: ['user_id'] },
    owner: { fields: ['owner_id'] },
  },
  tampered: 'absent',
});

export type SealedName = Pick<GroupDoc, 'name' | 'key_version'>;

export function sealGroupName(keys: OwnerKeys, groupId: string, name: string): SealedName {
  return { name: keys.sealText(contextOf(keys.ownerId, groupId), name), key_version: keys.version };
}

/** @throws DomainError `decryption_failed`. */
export const openGroupName = (keys: OwnerKeys, row: GroupDoc): string =>
  keys.openText(contextOf(row.owner_id, row._id), row.name);

/** No file's name holds NUL, so no file and group share an index. */
export const groupNameIndex = (keys: OwnerKeys, name: string): string => keys.nameIndex(`\0group\0${name}`);

const contextOf = (ownerId: string, groupId: string): EncryptionContext => ({
  ownerId,
  resourceType: 'group',
  resourceId: groupId,
  field: 'name',
});
