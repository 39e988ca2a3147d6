import { Injectable } from '@nestjs/common';
import { AuditSink, Clock, DomainError, Principal, audited, isoTime, newId } from '../../kernel';
import { Collection, DuplicateKey, Store, everyRow } from '../../store';
import { UserDoc, Users, parseUsername } from '../../users';
import { GroupMemberDoc, groupMemberCollection } from './group.collection';
import { Groups, groupIntent, notFound, tooMany } from './groups';

export interface MemberView {
  readonly username: string;
  readonly added_at: string;
}

/** Accounts in one group. */
export const MAX_MEMBERS = 1_000;
/** Groups that one account is in: nobody is asked before, and each costs a look at all that is granted. */
const MAX_MEMBERSHIPS = 1_000;

/** Who is in an owner's group, as its owner sees and changes it. */
@Injectable()
export class GroupMembers {
  readonly #members: Collection<GroupMemberDoc>;

  constructor(
    store: Store,
    private readonly groups: Groups,
    private readonly users: Users,
    private readonly audit: AuditSink,
    private readonly clock: Clock,
  ) {
    this.#members = store.collection(groupMemberCollection);
  }

  /** Longest in it first. @throws DomainError `not_found`. */
  async list(caller: Principal, groupId: string): Promise<MemberView[]> {
    await this.groups.owned(caller.userId, groupId);
    const members: MemberView[] = [];
    for await (const row of everyRow(this.#members, 'group', [groupId])) {
      const user = await this.users.byId(row.user_id);
      if (isThere(user)) members.push({ username: user.username, added_at: isoTime(row.created_at) });
    }
    return members;
  }

  /** Nothing changes for one who is in it. @throws DomainError `not_found`: no such group of the caller, or no such account. */
  async add(caller: Principal, groupId: string, username: string): Promise<void> {
    const user = await this.#known(caller, groupId, username);
    await audited(this.audit, groupIntent('group.member-add', caller, groupId, { member: user._id }), async () => {
      if ((await this.#members.count('group', [groupId], MAX_MEMBERS)) >= MAX_MEMBERS)
        throw tooMany('members', MAX_MEMBERS);
      if ((await this.#members.count('user', [user._id], MAX_MEMBERSHIPS)) >= MAX_MEMBERSHIPS)
        throw tooMany('memberships', MAX_MEMBERSHIPS);
      const member = { group_id: groupId, owner_id: caller.userId, user_id: user._id, created_at: this.clock.now() };
      await this.#members.insert({ _id: newId(), ...member }).catch(unlessThere);
      // A group that went meanwhile may have left this row behind.
      await this.groups.owned(caller.userId, groupId).catch(async (gone: unknown) => {
        await this.#remove(groupId, user._id);
        throw gone;
      });
    });
  }

  /** From the next request on, on every replica. @throws DomainError `not_found`: as `add`, or the account is not in the group. */
  async remove(caller: Principal, groupId: string, username: string): Promise<void> {
    const user = await this.#known(caller, groupId, username);
    await audited(this.audit, groupIntent('group.member-remove', caller, groupId, { member: user._id }), async () => {
      if (!(await this.#remove(groupId, user._id))) throw notFound();
    });
  }

  async #known(caller: Principal, groupId: string, name: string): Promise<UserDoc> {
    await this.groups.owned(caller.userId, groupId);
    const username = parseUsername(name);
    const user = username && (await this.users.byUsername(username));
    if (!isThere(user)) throw new DomainError('not_found', { detail: 'There is no account of this name.' });
    return user;
  }

  async #remove(groupId: string, userId: string): Promise<boolean> {
    const row = await this.#members.find('member', groupId, userId);
    return row !== undefined && this.#members.remove(row._id);
  }
}

/** An account that somebody can log in to, now or when it is enabled again. */
export const isThere = (user: UserDoc | undefined): user is UserDoc =>
  user?.state === 'active' || user?.state === 'disabled';

function unlessThere(error: unknown): void {
  if (!(error instanceof DuplicateKey)) throw error;
}
