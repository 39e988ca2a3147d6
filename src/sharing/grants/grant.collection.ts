import { Doc, defineCollection, plain } from '../../store';

/** A shared resource, by owner, type and id: this module knows nothing else of it. */
export interface Resource {
  /** `file`, ... */
  readonly type: string;
  readonly id: string;
  readonly ownerId: string;
}

/** How the owner named the grantee. */
export type AskedKind = 'username' | 'email' | 'group';
export type GranteeKind = 'user' | 'group';

/**
 * Permission to read one resource. It holds no key: the server decrypts with the owner's user key.
 * A row counts only for a resource that has the same owner.
 */
export interface GrantDoc extends Doc {
  readonly owner_id: string;
  readonly resource_type: string;
  readonly resource_id: string;
  readonly asked_kind: AskedKind;
  /** Id of the user or of the group, or the folded address. Unique in one resource. */
  readonly asked_for: string;
  /** The address as it was sent. */
  readonly email?: string;
  /** The grantee; absent while no account has verified the address. */
  readonly grantee_kind?: GranteeKind;
  readonly grantee_id?: string;
  /** The folded address, for as long as there is no grantee. */
  readonly pending_email?: string;
  readonly created_at: number;
  readonly expires_at?: number;
}

export const grantCollection = defineCollection<GrantDoc>({
  name: 'grants',
  fields: {
    owner_id: plain.string,
    resource_type: plain.string,
    resource_id: plain.string,
    asked_kind: plain.string,
    asked_for: plain.string,
    email: plain.string,
    grantee_kind: plain.string,
    grantee_id: plain.string,
    pending_email: plain.string,
    created_at: plain.time,
    expires_at: plain.time,
  },
  indexes: {
    asked: { fields: ['resource_type', 'resource_id', 'asked_kind', 'asked_for'], unique: true },
    resource: { fields: ['resource_type', 'resource_id', 'created_at'] },
    access: { fields: ['resource_type', 'resource_id', 'grantee_kind', 'grantee_id'] },
    grantee: { fields: ['grantee_kind', 'grantee_id', 'resource_type', 'created_at'] },
    pending: { fields: ['pending_email'] },
    owner: { fields: ['owner_id'] },
  },
  expiry: 'expires_at',
  // A grant that was planted in the database does not exist.
  tampered: 'absent',
});

/** False after its expiry, before the row is removed. */
export const isLive = (grant: GrantDoc, now: number): boolean =>
  grant.expires_at === undefined || grant.expires_at > now;

/** The same grant, admitting this account. */
export function boundTo(grant: GrantDoc, userId: string): GrantDoc {
  const { pending_email: _pending, ...rest } = grant;
  return { ...rest, grantee_kind: 'user', grantee_id: userId };
}
