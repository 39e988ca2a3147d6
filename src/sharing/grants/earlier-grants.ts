import { Clock, Turns } from '../../kernel';
import { Collection, Position } from '../../store';
import { Resource } from '../resource';
import { GrantAccess } from './grant-access';
import { GrantDoc, isLive } from './grant.collection';
import { Source, byAge } from './grant-merge';

/** Rows that one page may look at to leave out what earlier pages showed; it ends early then, and the next one goes on. */
const MOST_LOOKS = 4_000;
const ROWS_AT_ONCE = 100;

interface Parts {
  readonly rows: Collection<GrantDoc>;
  readonly access: GrantAccess;
  readonly clock: Clock;
}

/** Whether an older grant has shown a resource already. Looks at no more rows than twice the user's sources, however many grants there are. */
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
