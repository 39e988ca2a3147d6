import { Clock, Turns } from '../../kernel';
import { Collection, scanRows } from '../../store';
import { Memberships } from '../groups/memberships';
import { Resource } from '../resource';
import { GrantAccess } from './grant-access';
import { GrantDoc, isLive } from './grant.collection';

/** Groups of a resource that one page may look at; it ends early then, and the next one goes on. */
const MOST_LOOKS = 4_000;

interface Parts {
  readonly rows: Collection<GrantDoc>;
  readonly access: GrantAccess;
  readonly clock: Clock;
}

interface Member {
  readonly userId: string;
  /** The last row of the parts before. */
  readonly until: string;
}

/** Whether an earlier part of the user's memberships has shown a resource: by a grant to the account itself, or to a group of that part. */
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
