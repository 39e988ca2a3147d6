import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { Collection, Position, Store } from '../../store';
import { Memberships } from '../groups/memberships';
import { Resource } from '../resource';
import { GrantAccess } from './grant-access';
import { EarlierGrants } from './earlier-grants';
import { Source, mergedGrants } from './grant-merge';
import { GrantDoc, grantCollection, isLive } from './grant.collection';
import { Grantees } from './grantees';

export interface GrantedPage {
  readonly resources: readonly Resource[];
  readonly next: Position | undefined;
}

interface GrantedChoice {
  readonly type: string;
  readonly limit: number;
  readonly after: Position | undefined;
}

/** The fields of the index in front of the order: sources share it, so one position serves them all. */
const PREFIX = 3;

/** What has been granted to a user, from all that reaches the user, merged in the order of the grants. */
@Injectable()
export class GrantedResources {
  readonly #grants: Collection<GrantDoc>;

  constructor(
    store: Store,
    private readonly access: GrantAccess,
    private readonly grantees: Grantees,
    private readonly memberships: Memberships,
    private readonly clock: Clock,
  ) {
    this.#grants = store.collection(grantCollection);
  }

  /** Each resource once, oldest grant first. A page may hold fewer than `limit`, even none, and still have a next one: its work is bounded. */
  async list(userId: string, { type, limit, after }: GrantedChoice): Promise<GrantedPage> {
    await this.grantees.bindAll(userId);
    const sources = await this.#sources(userId);
    const grants = await mergedGrants(this.#grants, sources, { type, limit: limit + 1, after });
    const earlier = new EarlierGrants({ rows: this.#grants, access: this.access, clock: this.clock }, sources);
    const { resources, last } = await this.#holding(
      userId,
      grants.slice(0, limit),
      after === undefined ? undefined : earlier,
    );
    const goesOn = last !== undefined && last !== grants.at(-1);
    return { resources, next: goesOn ? this.#grants.position('grantee', PREFIX, last) : undefined };
  }

  async #sources(userId: string): Promise<Source[]> {
    const groups = await this.memberships.of(userId);
    const own: Source = { kind: 'user', id: userId, ownerId: undefined };
    return [own, ...[...groups].map(([id, ownerId]): Source => ({ kind: 'group', id, ownerId }))];
  }

  /** What the grants show, and the last one of them that was looked at: a page ends early where it has cost enough. */
  async #holding(userId: string, page: readonly GrantDoc[], earlier: EarlierGrants | undefined) {
    const serves = this.#ownersServe();
    const found = new Map<string, Resource>();
    let last: GrantDoc | undefined;
    for (const grant of page) {
      last = grant;
      const resource = { type: grant.resource_type, id: grant.resource_id, ownerId: grant.owner_id };
      const isNew = !found.has(resource.id) && isLive(grant, this.clock.now()) && resource.ownerId !== userId;
      if (!isNew || !(await serves(resource.ownerId))) continue;
      if ((await earlier?.have(grant, resource)) !== true) found.set(resource.id, resource);
      if (earlier?.isSpent === true) break;
    }
    return { resources: [...found.values()], last };
  }

  /** Asks once for each owner. */
  #ownersServe(): (ownerId: string) => Promise<boolean> {
    const owners = new Map<string, Promise<boolean>>();
    return (ownerId) => {
      const known = owners.get(ownerId) ?? this.access.ownerServes(ownerId);
      owners.set(ownerId, known);
      return known;
    };
  }
}
