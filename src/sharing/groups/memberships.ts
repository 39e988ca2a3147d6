import { Injectable } from '@nestjs/common';
import { AuditSink, Principal, Turns, auditedAfterLook, isoTime, pickInTurns, retryOnStaleKey } from '../../kernel';
import { Sealer, openedName } from '../../keys/user-keys';
import { Collection, Position, Store, scanRows } from '../../store';
import { Users, isRegistered } from '../../users';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection, openGroupName } from './group.collection';
import { groupIntent, notFound } from './groups';

/** Groups looked up at once. */
const AT_ONCE = 16;
/**
 * Rows of memberships in one part. Anybody may add an account to groups, so their number has no
 * bound.
 */
export const MEMBERSHIPS_AT_ONCE = 1_000;
/** Rows that the store gives at a time. */
const BATCH = 100;

/** The begin of a part of a user's memberships: after the row of this id. */
export interface MembershipMark {
  readonly position: Position;
  readonly id: string;
}

export interface MembershipPart {
  /** The groups that are there: id -> its owner. */
  readonly owners: ReadonlyMap<string, string>;
  readonly next: MembershipMark | undefined;
}

/** Which groups a user is in, read anew at each request. */
@Injectable()
export class Memberships {
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(store: Store) {
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
  }

  /** Whether the user is in any group: spares a look-up for each group of a resource. */
  async isInAny(userId: string): Promise<boolean> {
    for await (const _row of scanRows(this.#members, 'user', [userId])) return true;
    return false;
  }

  /** Whether the user is in a group of this owner. */
  async isIn(group: { readonly id: string; readonly ownerId: string }, userId: string): Promise<boolean> {
    const member = await this.#members.find('member', group.id, userId);
    return member?.owner_id === group.ownerId && (await this.#active(group.id))?.owner_id === group.ownerId;
  }

  /** Whether the user is in a group of this owner by a row up to this one. */
  async wasIn(
    group: { readonly id: string; readonly ownerId: string },
    userId: string,
    until: string,
  ): Promise<boolean> {
    const member = await this.#members.find('member', group.id, userId);
    if (member === undefined || member._id > until) return false;
    return member.owner_id === group.ownerId && (await this.#active(group.id))?.owner_id === group.ownerId;
  }

  /** Some of the groups that the user is in, longest in it first. */
  async part(userId: string, after: MembershipMark | undefined): Promise<MembershipPart> {
    const { rows, next } = await this.#rowsBehind(userId, after);
    const owners = new Map<string, string>();
    const turns = new Turns();
    for (let at = 0; at < rows.length; at += AT_ONCE) {
      const some = rows.slice(at, at + AT_ONCE);
      const groups = await Promise.all(some.map(({ group_id }) => this.#active(group_id)));
      some.forEach(({ group_id, owner_id }, index) => {
        if (groups[index]?.owner_id === owner_id) owners.set(group_id, owner_id);
      });
      await turns.pause();
    }
    return { owners, next };
  }

  async #rowsBehind(userId: string, start: MembershipMark | undefined) {
    const rows: GroupMemberDoc[] = [];
    const turns = new Turns();
    let after = start?.position;
    for (let looked = 0; looked < MEMBERSHIPS_AT_ONCE; looked += BATCH) {
      const options = { limit: BATCH, ...(after !== undefined && { after }) };
      const page = await this.#members.list('user', [userId], options);
      rows.push(...page.items);
      await turns.pause();
      after = page.next;
      if (after === undefined) return { rows, next: undefined };
    }
    return { rows, next: { position: after as Position, id: rows.at(-1)?._id ?? start?.id ?? '' } };
  }

  async #active(groupId: string): Promise<GroupDoc | undefined> {
    const group = await this.#groups.find('_id', groupId);
    return group?.state === 'active' ? group : undefined;
  }
}

export interface MembershipView {
  readonly group_id: string;
  /** Null where the stored name does not open: the membership can be ended all the same. */
  readonly name: string | null;
  /** User name of the group's owner. */
  readonly owner: string;
  readonly added_at: string;
}

/** The groups that an account is in, for the account itself. */
@Injectable()
export class OwnMemberships {
  readonly #groups: Collection<GroupDoc>;
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    private readonly sealer: Sealer,
    private readonly users: Users,
    private readonly audit: AuditSink,
  ) {
    this.#groups = store.collection(groupCollection);
    this.#members = store.collection(groupMemberCollection);
  }

  /**
   * Longest in it first. A page may hold fewer than `limit`, even none, and still have a next one.
   */
  async list(caller: Principal, { limit, after }: { limit: number; after: Position | undefined }) {
    const options = { limit, ...(after !== undefined && { after }) };
    const page = await this.#members.list('user', [caller.ownerId], options);
    return { memberships: await pickInTurns(page.items, (row) => this.#view(row)), next: page.next };
  }

  /**
   * From the next request on, on every replica.
   * @throws DomainError `not_found`: no such group, or the caller is not in it.
   */
  async leave(caller: Principal, groupId: string): Promise<void> {
    await auditedAfterLook(this.audit, groupIntent('group.leave', caller, groupId), async (begin) => {
      const member = await this.#members.find('member', groupId, caller.ownerId);
      if (member === undefined || (await this.#groupOf(member)) === undefined) throw notFound();
      await begin();
      if (!(await this.#members.remove(member._id))) throw notFound();
    });
  }

  /** Undefined where the group or its owner is not there any more. */
  #view(member: GroupMemberDoc): Promise<MembershipView | undefined> {
    return retryOnStaleKey(async () => {
      const [group, owner] = await Promise.all([this.#groupOf(member), this.users.byId(member.owner_id)]);
      const ownerName = isRegistered(owner) ? owner.username : await this.users.servingName(member.owner_id);
      if (group === undefined || ownerName === undefined) return undefined;
      const name = await openedName(this.sealer, group.owner_id, (keys) => openGroupName(keys, group));
      if (name === undefined) return undefined;
      return { group_id: group._id, name, owner: ownerName, added_at: isoTime(member.created_at) };
    });
  }

  async #groupOf({ group_id, owner_id }: GroupMemberDoc): Promise<GroupDoc | undefined> {
    const group = await this.#groups.find('_id', group_id);
    return group?.state === 'active' && group.owner_id === owner_id ? group : undefined;
  }
}
