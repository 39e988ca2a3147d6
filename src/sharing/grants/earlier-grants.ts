import { Clock, Turns } from '../../kernel';
import { Collection, Position, scanRows } from '../../store';
import { Memberships } from '../groups/memberships';
import { GrantAccess } from './grant-access';
import { Source, byAge } from './grant-merge';
import { GrantDoc, Resource, isLive } from './grant.collection';
/**
 * Rows that one page may read to leave out what earlier pages showed. A page ends early at this
 * limit.
 */
const MOST_LOOKS = 4_000;
const ROWS_AT_ONCE = 100;

/** What both look-ups read. */
interface Parts {
  readonly rows: Collection<GrantDoc>;
  readonly access: GrantAccess;
  readonly clock: Clock;
}

/**
 * Whether an older grant has shown a resource already. Reads at most twice as many rows as the user
 * has sources.
 */
export class EarlierGrants {
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #turns = new Turns();
  #looks = 0;

  constructor(
    private readonly parts: Parts,
    sources: readonly Source[],
  ) {
    this.#sources = new Map(sources.map((source) => [keyOf(source.kind, source.id), source]));
  }

  /** The page has looked at as much as it may. */
  get isSpent(): boolean {
    return this.#looks >= MOST_LOOKS;
  }

  async have(grant: GrantDoc, resource: Resource): Promise<boolean> {
    return (await this.#amongOldest(grant, resource)) ?? this.#bySource(grant, resource);
  }

  /** Among the oldest grants of the resource; undefined where there are more than sources. */
  async #amongOldest(grant: GrantDoc, { type, id, ownerId }: Resource): Promise<boolean | undefined> {
    let after: Position | undefined;
    for (let left = this.#sources.size; left > 0; left -= ROWS_AT_ONCE) {
      const options = { limit: Math.min(left, ROWS_AT_ONCE), ...(after !== undefined && { after }) };
      const page = await this.parts.rows.list('resource', [type, id], options);
      for (const other of page.items) {
        if (byAge(other, grant) >= 0) return false;
        if (other.owner_id === ownerId && this.#reaches(other)) return true;
      }
      await this.#looked(Math.max(1, page.items.length));
      if (page.next === undefined) return false;
      after = page.next;
    }
    return undefined;
  }

  async #bySource(grant: GrantDoc, resource: Resource): Promise<boolean> {
    for (const { kind, id } of this.#sources.values()) {
      await this.#looked(1);
      for await (const other of this.parts.access.granted(resource, kind, id)) if (byAge(other, grant) < 0) return true;
    }
    return false;
  }

  #reaches(grant: GrantDoc): boolean {
    const { grantee_kind: kind, grantee_id: id } = grant;
    const source = kind === undefined || id === undefined ? undefined : this.#sources.get(keyOf(kind, id));
    if (source === undefined || !isLive(grant, this.parts.clock.now())) return false;
    return source.ownerId === undefined || source.ownerId === grant.owner_id;
  }

  async #looked(rows: number): Promise<void> {
    this.#looks += rows;
    await this.#turns.pause();
  }
}

const keyOf = (kind: string, id: string): string => `${kind} ${id}`;

interface Member {
  readonly userId: string;
  /** The last row of the parts before. */
  readonly until: string;
}

/**
 * Whether a grant to the account itself, or to a group of an earlier part of its memberships, has
 * shown a resource.
 */
export class EarlierGroups {
  readonly #turns = new Turns();
  #looks = 0;

  constructor(
    private readonly parts: Parts,
    private readonly memberships: Memberships,
    private readonly member: Member,
  ) {}

  /** The page has looked at as much as it may. */
  get isSpent(): boolean {
    return this.#looks >= MOST_LOOKS;
  }

  async have(_grant: GrantDoc, resource: Resource): Promise<boolean> {
    const { userId, until } = this.member;
    for await (const _own of this.parts.access.granted(resource, 'user', userId)) return true;
    const { type, id, ownerId } = resource;
    for await (const other of scanRows(this.parts.rows, 'access', [type, id, 'group'])) {
      this.#looks += 1;
      await this.#turns.pause();
      const holds = other.owner_id === ownerId && isLive(other, this.parts.clock.now());
      const group = { id: other.grantee_id ?? '', ownerId };
      if (holds && (await this.memberships.wasIn(group, userId, until))) return true;
    }
    return false;
  }
}
