import { Injectable } from '@nestjs/common';
import { Clock } from '../../kernel';
import { Collection, Position, Store } from '../../store';
import { MembershipMark, Memberships } from '../groups/memberships';
import { EarlierGrants, EarlierGroups } from './earlier-grants';
import { GrantAccess } from './grant-access';
import { Source, mergedGrants } from './grant-merge';
import { GrantDoc, Resource, grantCollection, isLive } from './grant.collection';
import { Grantees } from './grantees';

/**
 * The position in a list of granted resources: a part of the user's memberships, and a grant in it.
 */
export interface GrantedPlace {
  readonly part: MembershipMark | undefined;
  readonly grants: Position | undefined;
}

/** No position of a store begins so. */
const LATER_PART = '\0part:';

/** In the first part the position of the grant alone. */
export function positionOf({ part, grants }: GrantedPlace): Position | undefined {
  if (part === undefined) return grants;
  return LATER_PART + JSON.stringify([part.position, part.id, grants ?? null]);
}

/** Positions come sealed from whoever sends them, so they are as `positionOf` made them. */
export function placeIn(position: Position | undefined): GrantedPlace {
  if (position?.startsWith(LATER_PART) !== true) return { part: undefined, grants: position };
  const [at, id, grants] = JSON.parse(position.slice(LATER_PART.length)) as [Position, string, Position | null];
  return { part: { position: at, id }, grants: grants ?? undefined };
}

export interface GrantedPage {
  readonly resources: readonly Resource[];
  readonly next: Position | undefined;
}

interface GrantedChoice {
  readonly type: string;
  readonly limit: number;
  readonly after: Position | undefined;
}

/** Tells whether an earlier page has shown a resource. */
interface Earlier {
  /** It has looked at as much as one page may. */
  readonly isSpent: boolean;
  have(grant: GrantDoc, resource: Resource): Promise<boolean>;
}

/** The index that all sources share, so that one position serves them all. */
const PREFIX = 3;

/**
 * What has been granted to a user, from all that reaches the user, merged in the order of the
 * grants. Who is in more groups than one part of the memberships holds gets what the first part
 * reaches, then that of the next one.
 */
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

  /**
   * Each resource once, oldest grant first. A page may hold fewer than `limit`, even none, and
   * still have a next one: its work is bounded.
   */
  async list(userId: string, { type, limit, after }: GrantedChoice): Promise<GrantedPage> {
    await this.grantees.bindAll(userId);
    const place = placeIn(after);
    const { sources, next } = await this.#sources(userId, place.part);
    const grants = await mergedGrants(this.#grants, sources, { type, limit: limit + 1, after: place.grants });
    const { resources, last } = await this.#holding(
      userId,
      grants.slice(0, limit),
      this.#shownBefore(userId, place, sources),
    );
    if (last !== undefined && last !== grants.at(-1)) {
      return { resources, next: positionOf({ ...place, grants: this.#grants.position('grantee', PREFIX, last) }) };
    }
    return { resources, next: next === undefined ? undefined : positionOf({ part: next, grants: undefined }) };
  }

  /** The account itself comes with the first part of its groups. */
  async #sources(userId: string, part: MembershipMark | undefined) {
    const { owners, next } = await this.memberships.part(userId, part);
    const own: Source[] = part === undefined ? [{ kind: 'user', id: userId, ownerId: undefined }] : [];
    return { sources: [...own, ...[...owners].map(([id, ownerId]): Source => ({ kind: 'group', id, ownerId }))], next };
  }

  /**
   * Grants that may have shown a resource on an earlier page: older ones of this part, and all of
   * earlier parts.
   */
  #shownBefore(userId: string, { part, grants }: GrantedPlace, sources: readonly Source[]): readonly Earlier[] {
    const rows = { rows: this.#grants, access: this.access, clock: this.clock };
    const before = part && new EarlierGroups(rows, this.memberships, { userId, until: part.id });
    const older = grants === undefined ? undefined : new EarlierGrants(rows, sources);
    return [before, older].filter((earlier) => earlier !== undefined);
  }

  /**
   * The resources of the grants, and the last grant that was read: a page ends early at its cost
   * limit.
   */
  async #holding(userId: string, page: readonly GrantDoc[], earlier: readonly Earlier[]) {
    const serves = this.#ownersServe();
    const found = new Map<string, Resource>();
    let last: GrantDoc | undefined;
    for (const grant of page) {
      last = grant;
      const resource = { type: grant.resource_type, id: grant.resource_id, ownerId: grant.owner_id };
      const isNew = !found.has(resource.id) && isLive(grant, this.clock.now()) && resource.ownerId !== userId;
      if (!isNew || !(await serves(resource.ownerId))) continue;
      if (!(await haveShown(earlier, grant, resource))) found.set(resource.id, resource);
      if (earlier.some(({ isSpent }) => isSpent)) break;
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

async function haveShown(earlier: readonly Earlier[], grant: GrantDoc, resource: Resource): Promise<boolean> {
  for (const one of earlier) if (await one.have(grant, resource)) return true;
  return false;
}
