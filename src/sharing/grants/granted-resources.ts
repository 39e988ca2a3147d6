import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { Collection, Position, Store } from '../../store';
import { Memberships } from '../groups/memberships';
import { Resource } from '../resource';
import { GrantAccess } from './grant-access';
import { GrantDoc, GranteeKind, grantCollection, isLive } from './grant.collection';
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

/** What grants reach the user by: the account itself, and each group that it is in. `ownerId` is whose grants to it are believed. */
interface Source {
  readonly kind: GranteeKind;
  readonly id: string;
  readonly ownerId: string | undefined;
}

/** The fields of the index in front of the order: sources share it, so one position serves them all. */
const PREFIX = 3;
/** Groups looked into at once. */
const AT_ONCE = 16;

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

  /** Each resource once, oldest grant first. A page may hold fewer than `limit`, even none, and still have a next one. */
  async list(userId: string, { type, limit, after }: GrantedChoice): Promise<GrantedPage> {
    await this.grantees.bindAll(userId);
    const sources = await this.#sources(userId);
    const grants = await this.#merged(sources, { type, limit: limit + 1, after });
    const page = grants.slice(0, limit);
    const last = page.at(-1);
    const goesOn = grants.length > limit && last !== undefined;
    return {
      resources: await this.#holding(userId, sources, page, after !== undefined),
      next: goesOn ? this.#grants.position('grantee', PREFIX, last) : undefined,
    };
  }

  async #sources(userId: string): Promise<Source[]> {
    const groups = await this.memberships.of(userId);
    const own: Source = { kind: 'user', id: userId, ownerId: undefined };
    return [own, ...[...groups].map(([id, ownerId]): Source => ({ kind: 'group', id, ownerId }))];
  }

  /** The first grants behind the position over all sources, expired ones included: the position counts them. */
  async #merged(sources: readonly Source[], { type, limit, after }: GrantedChoice): Promise<GrantDoc[]> {
    let merged: GrantDoc[] = [];
    for (let at = 0; at < sources.length; at += AT_ONCE) {
      const some = sources.slice(at, at + AT_ONCE);
      const lists = await Promise.all(some.map((source) => this.#of(source, { type, limit, after })));
      merged = [...merged, ...lists.flat()].sort(byAge).slice(0, limit);
    }
    return merged;
  }

  /** Forged rows are left out, so it goes on behind them until the page is full. */
  async #of({ kind, id, ownerId }: Source, { type, limit, after }: GrantedChoice): Promise<GrantDoc[]> {
    const grants: GrantDoc[] = [];
    let from = after;
    do {
      const options = { limit: limit - grants.length, ...(from !== undefined && { after: from }) };
      const page = await this.#grants.list('grantee', [kind, id, type], options);
      grants.push(...page.items.filter((grant) => ownerId === undefined || grant.owner_id === ownerId));
      from = page.next;
    } while (from !== undefined && grants.length < limit);
    return grants;
  }

  async #holding(
    userId: string,
    sources: readonly Source[],
    page: readonly GrantDoc[],
    goesOn: boolean,
  ): Promise<Resource[]> {
    const owners = new Map<string, Promise<boolean>>();
    const serves = (ownerId: string): Promise<boolean> => {
      const known = owners.get(ownerId) ?? this.access.ownerServes(ownerId);
      owners.set(ownerId, known);
      return known;
    };
    const found = new Map<string, Resource>();
    for (const grant of page) {
      const resource = { type: grant.resource_type, id: grant.resource_id, ownerId: grant.owner_id };
      const isNew = !found.has(resource.id) && isLive(grant, this.clock.now()) && resource.ownerId !== userId;
      if (!isNew || !(await serves(resource.ownerId))) continue;
      if (!(goesOn && (await this.#wasBefore(grant, resource, sources)))) found.set(resource.id, resource);
    }
    return [...found.values()];
  }

  /** Whether an older grant showed the resource on an earlier page. */
  async #wasBefore(grant: GrantDoc, resource: Resource, sources: readonly Source[]): Promise<boolean> {
    for (const { kind, id } of sources) {
      for await (const other of this.access.granted(resource, kind, id)) if (byAge(other, grant) < 0) return true;
    }
    return false;
  }
}

/** The order of the index. */
function byAge(a: GrantDoc, b: GrantDoc): number {
  if (a.created_at !== b.created_at) return a.created_at - b.created_at;
  return a._id < b._id ? -1 : Number(a._id > b._id);
}
