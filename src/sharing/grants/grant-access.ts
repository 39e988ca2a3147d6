import { Injectable } from '@nestjs/common';
import { Clock, Turns } from '../../kernel';
import { Collection, Store, scanRows } from '../../store';
import { Users } from '../../users';
import { Memberships } from '../groups/memberships';
import { GrantDoc, GranteeKind, Resource, grantCollection, isLive } from './grant.collection';
import { Grantees } from './grantees';

/**
 * Decides whether a user may read a resource of another. Each request reads all rows anew: a
 * revoked grant, a removed member or a disabled owner counts at the next request on every replica.
 */
@Injectable()
export class GrantAccess {
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly grantees: Grantees,
    private readonly memberships: Memberships,
    private readonly users: Users,
    private readonly clock: Clock,
  ) {
    this.#grants = store.collection(grantCollection);
  }

  /**
   * Whether a live grant admits the user: to the account, to its verified address, or to one of its
   * groups.
   */
  async admits(userId: string, resource: Resource): Promise<boolean> {
    const isGranted =
      (await this.#hasGrant(resource, 'user', userId)) ||
      (await this.#hasPending(resource, userId)) ||
      (await this.#hasGroup(resource, userId));
    return isGranted && this.ownerServes(resource.ownerId);
  }

  /** False for an owner who is disabled or being erased. */
  ownerServes(ownerId: string): Promise<boolean> {
    return this.users.serves(ownerId);
  }

  /** The live grants of a resource to this grantee, oldest first. */
  async *granted({ type, id, ownerId }: Resource, kind: GranteeKind, granteeId: string): AsyncGenerator<GrantDoc> {
    for await (const grant of scanRows(this.#grants, 'access', [type, id, kind, granteeId])) {
      if (grant.owner_id === ownerId && isLive(grant, this.clock.now())) yield grant;
    }
  }

  async #hasGrant(resource: Resource, kind: GranteeKind, granteeId: string): Promise<boolean> {
    for await (const _grant of this.granted(resource, kind, granteeId)) return true;
    return false;
  }

  async #hasPending({ type, id, ownerId }: Resource, userId: string): Promise<boolean> {
    const address = (await this.users.byId(userId))?.verified_email;
    if (address === undefined) return false;
    const grant = await this.#grants.find('asked', type, id, 'email', address);
    if (grant?.pending_email !== address || grant.owner_id !== ownerId) return false;
    const bound = await this.grantees.bind(grant);
    return bound.grantee_id === userId && isLive(bound, this.clock.now());
  }

  async #hasGroup({ type, id, ownerId }: Resource, userId: string): Promise<boolean> {
    if (!(await this.memberships.isInAny(userId))) return false;
    const turns = new Turns();
    for await (const grant of scanRows(this.#grants, 'access', [type, id, 'group'])) {
      await turns.pause();
      if (grant.owner_id !== ownerId || grant.grantee_id === undefined || !isLive(grant, this.clock.now())) continue;
      if (await this.memberships.isIn({ id: grant.grantee_id, ownerId }, userId)) return true;
    }
    return false;
  }
}
