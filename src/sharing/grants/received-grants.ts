import { Injectable } from '@nestjs/common';
import { AuditSink, Clock, DomainError, Principal, auditedAfterLook, isoTime } from '../../kernel';
import { Collection, Position, Store } from '../../store';
import { Users } from '../../users';
import { GrantDoc, Resource, grantCollection, isLive } from './grant.collection';
import { Grantees } from './grantees';

/** A grant as its grantee sees it. */
export interface ReceivedGrant {
  readonly id: string;
  readonly resource: Resource;
  /** User name of the owner. */
  readonly owner: string;
  readonly expires_at: string | null;
}

export interface ReceivedPage {
  readonly grants: readonly ReceivedGrant[];
  readonly next: Position | undefined;
}

interface ReceivedChoice {
  readonly type: string;
  readonly limit: number;
  readonly after: Position | undefined;
}

/**
 * Grants to an account itself, as that account sees and declines them. Those to a group end for a
 * member who leaves it.
 */
@Injectable()
export class ReceivedGrants {
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly grantees: Grantees,
    private readonly users: Users,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#grants = store.collection(grantCollection);
  }

  /** Oldest first. A page may hold fewer than `limit`, even none, and still have a next one. */
  async list({ ownerId: userId }: Principal, { type, limit, after }: ReceivedChoice): Promise<ReceivedPage> {
    await this.grantees.bindAll(userId);
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#grants.list('grantee', ['user', userId, type], options);
    const live = page.items.filter((grant) => isLive(grant, this.clock.now()));
    const owners = await this.#owners(live);
    const grants = live.flatMap((grant) => {
      const owner = owners.get(grant.owner_id);
      return owner === undefined ? [] : [viewOf(grant, owner)];
    });
    return { grants, next: page.next };
  }

  /**
   * From the next request on, on every replica. Also for a grant that rests.
   * @throws DomainError `not_found`, also for a grant to somebody else.
   */
  async decline(caller: Principal, type: string, grantId: string): Promise<void> {
    const intent = { action: 'grant.decline', actor: caller.actor, resource: `grant/${grantId}` } as const;
    await auditedAfterLook(this.audit, intent, async (begin) => {
      const grant = await this.#grants.find('_id', grantId);
      const isOwn =
        grant?.grantee_kind === 'user' && grant.grantee_id === caller.ownerId && grant.resource_type === type;
      if (!isOwn || !isLive(grant, this.clock.now())) throw new DomainError('not_found');
      await begin();
      if (!(await this.#grants.remove(grantId))) throw new DomainError('not_found');
    });
  }

  /** Names of those owners whose grants hold, by id. */
  async #owners(grants: readonly GrantDoc[]): Promise<ReadonlyMap<string, string>> {
    const ids = [...new Set(grants.map(({ owner_id }) => owner_id))];
    const names = await Promise.all(ids.map((id) => this.users.servingName(id)));
    return new Map(ids.flatMap((id, at) => (names[at] === undefined ? [] : [[id, names[at]] as const])));
  }
}

const viewOf = (grant: GrantDoc, owner: string): ReceivedGrant => ({
  id: grant._id,
  resource: { type: grant.resource_type, id: grant.resource_id, ownerId: grant.owner_id },
  owner,
  expires_at: grant.expires_at === undefined ? null : isoTime(grant.expires_at),
});
