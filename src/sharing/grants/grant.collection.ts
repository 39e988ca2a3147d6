import { Doc, defineCollection } from '../../store';

/** What is shared, as this module sees it: whose it is and how it is named, and nothing of what it is. */
export interface Resource {
  /** `file`, ... */
  readonly type: string;
  readonly id: string;
  readonly ownerId: string;
}

/** How an owner named whom a resource is granted to. */
export type AskedKind = 'username' | 'email' | 'group';
export type GranteeKind = 'user' | 'group';

/**
 * Permission to read one resource. A row and never a copy of a key: what it opens, the server opens through its owner's user key. Such a row is
 * believed only for a resource that has the same owner.
 */
export interface GrantDoc extends Doc {
  readonly owner_id: string;
  readonly resource_type: string;
  readonly resource_id: string;
  readonly asked_kind: AskedKind;
  /** Id of the user or of the group, or the folded address: what is granted once a resource. */
  readonly asked_for: string;
  /** The address as it was sent. */
  readonly email?: string;
  /** Whom it admits; absent while no account has verified the address. */
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
    owner_id: 'string',
    resource_type: 'string',
    resource_id: 'string',
    asked_kind: 'string',
    asked_for: 'string',
    email: 'string',
    grantee_kind: 'string',
    grantee_id: 'string',
    pending_email: 'string',
    created_at: 'time',
    expires_at: 'time',
  },
  plaintext: [
    'owner_id',
    'resource_type',
    'resource_id',
    'asked_kind',
    'asked_for',
    'email',
    'grantee_kind',
    'grantee_id',
    'pending_email',
    'created_at',
    'expires_at',
  ],
  indexes: {
    asked: { fields: ['resource_type', 'resource_id', 'asked_kind', 'asked_for'], unique: true },
    resource: { fields: ['resource_type', 'resource_id', 'created_at'] },
    access: { fields: ['resource_type', 'resource_id', 'grantee_kind', 'grantee_id'] },
    grantee: { fields: ['grantee_kind', 'grantee_id', 'resource_type', 'created_at'] },
    pending: { fields: ['pending_email'] },
    owner: { fields: ['owner_id'] },
  },
  expiry: 'expires_at',
  // A grant that somebody wrote into the database is as if it were not there.
  tampered: 'absent',
});

/** False from the moment it expires, whenever the row goes. */
export const isLive = (grant: GrantDoc, now: number): boolean =>
  grant.expires_at === undefined || grant.expires_at > now;

/** The same grant, admitting this account. */
export function boundTo(grant: GrantDoc, userId: string): GrantDoc {
  const { pending_email: _pending, ...rest } = grant;
  return { ...rest, grantee_kind: 'user', grantee_id: userId };
}
