import { Injectable } from '@nestjs/common';
import { AuditSink, BeginAct, Clock, DomainError, Principal, auditedAfterLook, isoTime, newId } from '../../kernel';
import { Links } from '../../links';
import { Collection, DuplicateKey, Position, Store, removeEvery, retryOnConflict } from '../../store';
import { UserDoc, Users, isRegistered } from '../../users';
import { Groups } from '../groups/groups';
import { GrantDoc, Resource, grantCollection, isLive } from './grant.collection';
import { GranteeChoice, GranteeFields, Grantees } from './grantees';

export interface NewGrant extends GranteeChoice {
  readonly expiresInMs?: number | undefined;
}

/**
 * A grant as the API shows it, with the name that its owner gave for the grantee: an address never
 * reveals an account.
 */
export interface GrantView {
  readonly id: string;
  readonly username?: string;
  readonly email?: string;
  readonly group?: string;
  readonly state: 'active' | 'pending';
  readonly created_at: string;
  readonly expires_at: string | null;
}

/** Grants of a resource, for its owner. The caller has checked ownership. */
@Injectable()
export class Grants {
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly grantees: Grantees,
    private readonly users: Users,
    private readonly groups: Groups,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#grants = store.collection(grantCollection);
  }

  /**
   * The same grantee again renews the grant, with the same id and a new expiry.
   * @throws as `Grantees.resolve`.
   */
  async create(caller: Principal, resource: Resource, { expiresInMs, ...choice }: NewGrant): Promise<GrantView> {
    const act = async (begin: BeginAct): Promise<GrantDoc> => {
      const fields = await this.grantees.resolve(resource.ownerId, choice);
      await begin(grantee(fields));
      return this.#store(resource, fields, expiresInMs);
    };
    const what = intent('grant.create', caller, resource);
    return this.#view(await auditedAfterLook(this.audit, what, act, ({ _id }) => ({ grant: _id })));
  }

  /** Oldest first. A page may hold fewer than `limit`, even none, and still have a next one. */
  async list({ type, id, ownerId }: Resource, { limit, after }: { limit: number; after: Position | undefined }) {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#grants.list('resource', [type, id], options);
    const now = this.clock.now();
    const live = page.items.filter((grant) => grant.owner_id === ownerId && isLive(grant, now));
    const bound = await Promise.all(live.map((grant) => this.grantees.bind(grant)));
    return { grants: await this.#views(ownerId, bound), next: page.next };
  }

  /** From the next request on, on every replica. @throws DomainError `not_found`. */
  async revoke(caller: Principal, resource: Resource, grantId: string): Promise<void> {
    await auditedAfterLook(this.audit, intent('grant.revoke', caller, resource, { grant: grantId }), async (begin) => {
      const grant = await this.#grants.find('_id', grantId);
      const isOf = grant?.resource_type === resource.type && grant.resource_id === resource.id;
      if (!isOf || !isLive(grant, this.clock.now())) throw new DomainError('not_found');
      await begin();
      if (!(await this.#grants.remove(grantId))) throw new DomainError('not_found');
    });
  }

  /** Removes all grants of a removed resource. Safe to repeat. Returns how many were removed. */
  forget({ type, id }: Pick<Resource, 'type' | 'id'>): Promise<number> {
    return removeEvery(this.#grants, 'resource', [type, id]);
  }

  async #store(resource: Resource, fields: GranteeFields, expiresInMs: number | undefined): Promise<GrantDoc> {
    const asked = [resource.type, resource.id, fields.asked_kind, fields.asked_for];
    return retryOnConflict(async () => {
      const now = this.clock.now();
      const expiry = expiresInMs === undefined ? {} : { expires_at: now + expiresInMs };
      const before = await this.#grants.find('asked', ...asked);
      if (before === undefined) return this.#inserted({ ...fields, ...expiry }, resource, now);
      if (isLive(before, now)) return this.#grants.replace(renewed(before, { ...fields, ...expiry }));
      await this.#grants.remove(before._id, before.rev);
      return undefined;
    });
  }

  async #inserted(
    fields: GranteeFields & Pick<GrantDoc, 'expires_at'>,
    { type, id, ownerId }: Resource,
    created_at: number,
  ): Promise<GrantDoc | undefined> {
    try {
      const place = { owner_id: ownerId, resource_type: type, resource_id: id };
      return await this.#grants.insert({ _id: newId(), ...place, ...fields, created_at });
    } catch (error) {
      if (error instanceof DuplicateKey) return undefined;
      throw error;
    }
  }

  async #view(grant: GrantDoc): Promise<GrantView> {
    const [view] = await this.#views(grant.owner_id, [grant]);
    if (view === undefined) throw new DomainError('not_found');
    return view;
  }

  /** Those whose grantee is still there. */
  async #views(ownerId: string, grants: readonly GrantDoc[]): Promise<GrantView[]> {
    const asked = (kind: GrantDoc['asked_kind']) => grants.filter(({ asked_kind }) => asked_kind === kind);
    const groups = await this.groups.names(
      ownerId,
      asked('group').map(({ asked_for }) => asked_for),
    );
    const found = await Promise.all(asked('username').map(({ asked_for }) => this.users.byId(asked_for)));
    const users = new Map(found.filter(isRegistered).map((user: UserDoc) => [user._id, user.username]));
    return grants.flatMap((grant) => {
      const named = namedAs(grant, users, groups);
      return named === undefined ? [] : [viewOf(grant, named)];
    });
  }
}

type Names = ReadonlyMap<string, string>;
type Named = Pick<GrantView, 'username' | 'email' | 'group'>;

function namedAs({ asked_kind, asked_for, email }: GrantDoc, users: Names, groups: Names): Named | undefined {
  if (asked_kind === 'email') return { email: email ?? asked_for };
  const name = (asked_kind === 'group' ? groups : users).get(asked_for);
  return name === undefined ? undefined : { [asked_kind]: name };
}

const viewOf = (grant: GrantDoc, named: Named): GrantView => ({
  id: grant._id,
  ...named,
  state: grant.pending_email === undefined ? 'active' : 'pending',
  created_at: isoTime(grant.created_at),
  expires_at: grant.expires_at === undefined ? null : isoTime(grant.expires_at),
});

/**
 * A grant to an address follows to the account that has verified it now; without one it keeps its
 * grantee.
 */
function renewed(before: GrantDoc, fields: GranteeFields & Pick<GrantDoc, 'expires_at'>): GrantDoc {
  const { expires_at: _former, ...rest } = before;
  const { pending_email: _pending, ...others } = fields;
  if (fields.grantee_id === undefined) return { ...rest, ...others };
  const { pending_email: _none, ...bound } = rest;
  return { ...bound, ...others };
}

const grantee = ({ asked_kind, grantee_kind, grantee_id }: GranteeFields) => ({
  by: asked_kind,
  ...(grantee_id !== undefined && { grantee: `${grantee_kind}/${grantee_id}` }),
});

const intent = (
  action: 'grant.create' | 'grant.revoke',
  caller: Principal,
  { type, id }: Resource,
  details: Readonly<Record<string, string>> = {},
) => ({ action, actor: caller.actor, resource: `${type}/${id}`, details });

/** Removes grants and links of a removed resource. */
@Injectable()
export class SharedResources {
  constructor(
    private readonly grants: Grants,
    private readonly links: Links,
  ) {}

  /** Safe to repeat. */
  async forget(resource: Pick<Resource, 'type' | 'id'>): Promise<void> {
    await this.grants.forget(resource);
    await this.links.forget(resource.id);
  }
}
