import { Turns } from '../../kernel';
import { Collection, Position } from '../../store';
import { GrantDoc, GranteeKind } from './grant.collection';

/**
 * The account of a user, or a group that it is in. `ownerId` is the owner whose grants to it count.
 */
export interface Source {
  readonly kind: GranteeKind;
  readonly id: string;
  readonly ownerId: string | undefined;
}

/** Read at a time from each of many sources: most of them have nothing in the page. */
const FEW_ROWS = 4;
const FEW_SOURCES = 16;

/** The grants of one source, in the order of the index, read as they are asked for. */
class SourceGrants {
  #read: GrantDoc[] = [];
  #isOver = false;

  constructor(
    private readonly rows: Collection<GrantDoc>,
    private readonly source: Source,
    private readonly type: string,
    private after: Position | undefined,
  ) {}

  get first(): GrantDoc | undefined {
    return this.#read[0];
  }

  /**
   * Reads pages until there is a first grant, or none is left. A page of tampered rows is empty.
   */
  async fill(limit: number): Promise<void> {
    const { kind, id, ownerId } = this.source;
    while (this.#read.length === 0 && !this.#isOver) {
      const options = { limit, ...(this.after !== undefined && { after: this.after }) };
      const page = await this.rows.list('grantee', [kind, id, this.type], options);
      this.#read = page.items.filter((grant) => ownerId === undefined || grant.owner_id === ownerId);
      this.after = page.next;
      this.#isOver = page.next === undefined;
    }
  }

  take(): void {
    this.#read.shift();
  }
}

/**
 * The first grants after the position over all sources, including expired ones, which the position
 * counts. Reads a few rows of each source, and then only of those that the page takes from.
 */
export async function mergedGrants(
  rows: Collection<GrantDoc>,
  sources: readonly Source[],
  { type, limit, after }: { readonly type: string; readonly limit: number; readonly after: Position | undefined },
): Promise<GrantDoc[]> {
  const turns = new Turns();
  const chunk = sources.length > FEW_SOURCES ? Math.min(FEW_ROWS, limit) : limit;
  const lists = sources.map((source) => new SourceGrants(rows, source, type, after));
  for (let at = 0; at < lists.length; at += FEW_SOURCES) {
    await Promise.all(lists.slice(at, at + FEW_SOURCES).map((list) => list.fill(chunk)));
    await turns.pause();
  }
  const merged: GrantDoc[] = [];
  while (merged.length < limit) {
    const list = oldest(lists);
    if (list?.first === undefined) break;
    merged.push(list.first);
    list.take();
    await list.fill(chunk);
    await turns.pause();
  }
  return merged;
}

function oldest(lists: readonly SourceGrants[]): SourceGrants | undefined {
  let found: SourceGrants | undefined;
  for (const list of lists) {
    if (list.first === undefined) continue;
    if (found?.first === undefined || byAge(list.first, found.first) < 0) found = list;
  }
  return found;
}

/** The order of the index. */
export function byAge(a: GrantDoc, b: GrantDoc): number {
  if (a.created_at !== b.created_at) return a.created_at - b.created_at;
  return a._id < b._id ? -1 : Number(a._id > b._id);
}
