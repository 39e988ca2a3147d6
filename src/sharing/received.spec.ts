import {
  change,
  names,
  refused,
  rig,
  sees,
  someone,
  thing,
  three,
  useSharingRig,
  type Someone,
} from '../../test/support/sharing-rig';
import { MINUTE, Principal, newId } from '../kernel';
import { GroupMembers, MAX_MEMBERS } from './groups/group-members';
import { GroupMemberDoc, groupMemberCollection } from './groups/group.collection';

useSharingRig();

const memberRows = () => rig.store.collection(groupMemberCollection);
const memberships = async (user: Principal, limit = 50, after?: string) =>
  rig.sharing.ownMemberships.list(user, { limit, after });
const received = async (user: Principal) =>
  (await rig.sharing.received.list(user, { type: 'thing', limit: 50, after: undefined })).grants;

/** So many members of a group, as rows: what as many requests leave behind. */
async function crowd(groupId: string, owner: Principal, count: number, userId?: string): Promise<void> {
  const member = (): Omit<GroupMemberDoc, 'rev'> => ({
    ...{ _id: newId(), group_id: userId === undefined ? groupId : newId(), owner_id: owner.ownerId },
    ...{ user_id: userId ?? newId(), created_at: rig.clock.now() },
  });
  await Promise.all(Array.from({ length: count }, () => memberRows().insert(member())));
}

describe('The limit of members', () => {
  it('counts against the owner of the group: whom others put into 1,000 groups an honest owner still takes into one', async () => {
    const { owner, friend, stranger, resource } = await three();
    await crowd('', stranger, MAX_MEMBERS, friend.ownerId);
    const { id } = await rig.sharing.groups.create(owner, 'Friends');
    await rig.sharing.members.add(owner, id, 'friend');
    await rig.sharing.grants.create(owner, resource, { group: id });
    expect(await sees(friend, resource)).toBe(true);
  });

  it('is not passed by requests at the same time on two processes', async () => {
    const { owner } = await three();
    const { id } = await rig.sharing.groups.create(owner, 'Friends');
    await crowd(id, owner, MAX_MEMBERS - 3);
    const people = await Promise.all(Array.from({ length: 12 }, (_, at) => someone(`person-${at}`)));
    // The store is all that two processes share, and a second instance shares no more.
    const { groups, users } = rig.sharing;
    const other = new GroupMembers(rig.store, groups, users, rig.audit, rig.clock);
    const added = people.map(({ username }, at) => (at % 2 ? other : rig.sharing.members).add(owner, id, username));
    const refusals = (await Promise.allSettled(added)).filter(({ status }) => status === 'rejected');
    expect(await memberRows().count('group', [id])).toBe(MAX_MEMBERS - refusals.length + 9);
    expect(await memberRows().count('group', [id])).toBeLessThanOrEqual(MAX_MEMBERS);
    expect(refusals.length).toBeGreaterThanOrEqual(9);
  });

  it('does not stop one who is in a full group', async () => {
    const { owner } = await three();
    const { id } = await rig.sharing.groups.create(owner, 'Friends');
    await crowd(id, owner, MAX_MEMBERS - 1);
    await rig.sharing.members.add(owner, id, 'friend');
    await rig.sharing.members.add(owner, id, 'friend');
    await expect(rig.sharing.members.add(owner, id, 'stranger')).rejects.toEqual(refused('conflict'));
  });
});

describe('A member', () => {
  async function withGroup(): Promise<{ owner: Someone; friend: Someone; stranger: Someone; group: string }> {
    const made = await three();
    const { id } = await rig.sharing.groups.create(made.owner, 'Friends');
    await rig.sharing.members.add(made.owner, id, 'friend');
    return { ...made, group: id };
  }

  it('sees the groups of all owners, with the names that these gave them, over pages of any size', async () => {
    const { friend, stranger, group } = await withGroup();
    const second = await rig.sharing.groups.create(stranger, 'Others');
    rig.clock.forward(MINUTE);
    await rig.sharing.members.add(stranger, second.id, 'friend');
    const wanted = [
      { group_id: group, name: 'Friends', owner: 'owner', added_at: expect.any(String) },
      { group_id: second.id, name: 'Others', owner: 'stranger', added_at: expect.any(String) },
    ];
    expect((await memberships(friend)).memberships).toEqual(wanted);
    const first = await memberships(friend, 1);
    expect(first.memberships).toEqual(wanted.slice(0, 1));
    expect((await memberships(friend, 1, first.next)).memberships).toEqual(wanted.slice(1));
    expect((await memberships(stranger)).memberships).toEqual([]);
  });

  it('leaves a group: nothing reaches the account through it from then on, until it is taken in again', async () => {
    const { owner, friend, group } = await withGroup();
    const resource = thing(owner);
    await rig.sharing.grants.create(owner, resource, { group });
    await rig.sharing.ownMemberships.leave(friend, group);
    expect(await sees(friend, resource)).toBe(false);
    expect(await names(friend)).toEqual([]);
    expect(await rig.sharing.members.list(owner, group)).toEqual([]);
    await expect(rig.sharing.ownMemberships.leave(friend, group)).rejects.toEqual(refused('not_found'));
    await rig.sharing.members.add(owner, group, 'friend');
    expect(await sees(friend, resource)).toBe(true);
  });

  it('is told of no group that it is not in, that is gone, or whose owner is being erased', async () => {
    const { owner, friend, stranger, group } = await withGroup();
    for (const id of [group, newId(), 'x']) {
      await expect(rig.sharing.ownMemberships.leave(stranger, id)).rejects.toEqual(refused('not_found'));
    }
    await change(owner, { state: 'erasing' });
    expect((await memberships(friend)).memberships).toEqual([]);
    await change(owner, { state: 'active' });
    await rig.sharing.removal.begin(group);
    expect((await memberships(friend)).memberships).toEqual([]);
    await expect(rig.sharing.ownMemberships.leave(friend, group)).rejects.toEqual(refused('not_found'));
  });
});

describe('A grantee', () => {
  it('sees the grants to the account itself, by name and by address, with their owners', async () => {
    const { owner, friend, stranger } = await three();
    await change(friend, { verified_email: 'friend@example.org' });
    const [one, two] = [thing(owner), thing(stranger)];
    const byName = await rig.sharing.grants.create(owner, one, { username: 'friend', expiresInMs: MINUTE });
    const byAddress = await rig.sharing.grants.create(stranger, two, { email: 'friend@example.org' });
    expect(await received(friend)).toEqual([
      { id: byName.id, resource: one, owner: 'owner', expires_at: byName.expires_at },
      { id: byAddress.id, resource: two, owner: 'stranger', expires_at: null },
    ]);
    rig.clock.forward(MINUTE);
    expect((await received(friend)).map(({ id }) => id)).toEqual([byAddress.id]);
    await change(stranger, { state: 'disabled' });
    expect(await received(friend)).toEqual([]);
  });

  it('declines one: it admits no more, and the owner sees it no more', async () => {
    const { owner, friend, resource } = await three();
    const { id } = await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    await rig.sharing.received.decline(friend, 'thing', id);
    expect(await sees(friend, resource)).toBe(false);
    expect(await received(friend)).toEqual([]);
    expect((await rig.sharing.grants.list(resource, { limit: 9, after: undefined })).grants).toEqual([]);
    await expect(rig.sharing.received.decline(friend, 'thing', id)).rejects.toEqual(refused('not_found'));
  });

  it('cannot decline what was granted to somebody else, to a group, of another type, or not at all', async () => {
    const { owner, friend, stranger, resource } = await three();
    const own = await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    const { id: group } = await rig.sharing.groups.create(owner, 'Friends');
    await rig.sharing.members.add(owner, group, 'friend');
    const toGroup = await rig.sharing.grants.create(owner, resource, { group });
    for (const [who, type, id] of [
      [stranger, 'thing', own.id],
      [owner, 'thing', own.id],
      [friend, 'thing', toGroup.id],
      [friend, 'file', own.id],
      [friend, 'thing', newId()],
    ] as const) {
      await expect(rig.sharing.received.decline(who, type, id)).rejects.toEqual(refused('not_found'));
    }
    expect(await sees(friend, resource)).toBe(true);
  });
});
