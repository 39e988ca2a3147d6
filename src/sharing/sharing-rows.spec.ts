import { change, names, refused, rig, sees, thing, three, useSharingRig } from '../../test/support/sharing-rig';
import { MINUTE, Principal, newId } from '../kernel';
import { GrantDoc, Resource, grantCollection } from './grants/grant.collection';
import { GroupDoc, GroupMemberDoc, groupCollection, groupMemberCollection } from './groups/group.collection';
useSharingRig();

describe('A row that Coffer did not write', () => {
  const forgedGrant = (resource: Resource, user: Principal): GrantDoc & { seal: string } => ({
    ...{ _id: newId(), rev: 1, owner_id: resource.ownerId, resource_type: resource.type, resource_id: resource.id },
    ...{ asked_kind: 'username', asked_for: user.ownerId, grantee_kind: 'user', grantee_id: user.ownerId },
    ...{ created_at: 1, seal: '00'.repeat(32) },
  });

  it('is no grant', async () => {
    const { stranger, resource } = await three();
    const { _id, rev: _rev, ...row } = forgedGrant(resource, stranger);
    await rig.engine.collection(grantCollection).insert({ _id, ...row });
    expect(await sees(stranger, resource)).toBe(false);
    expect(await names(stranger)).toEqual([]);
  });

  it.each([
    ['grantee_id', (stranger: Principal) => ({ grantee_id: stranger.ownerId })],
    ['resource_id', (_stranger: Principal, other: Resource) => ({ resource_id: other.id })],
    ['expires_at', () => ({ expires_at: Date.now() + 1e9 })],
  ])('is no grant where it was one before its %s was changed', async (_field, changed) => {
    const { owner, friend, stranger, resource } = await three();
    const other = thing(owner);
    const { id } = await rig.sharing.grants.create(owner, resource, { username: 'friend', expiresInMs: MINUTE });
    const raw = rig.engine.collection(grantCollection);
    const row = (await raw.find('_id', id))!;
    await raw.remove(id);
    await raw.insert({ ...row, ...changed(stranger, other) });
    for (const user of [friend, stranger]) {
      for (const each of [resource, other]) expect(await sees(user, each)).toBe(false);
      expect(await names(user)).toEqual([]);
    }
  });

  it('is no membership, and no group', async () => {
    const { owner, stranger, resource } = await three();
    const group = await rig.sharing.groups.create(owner, 'Friends');
    await rig.sharing.grants.create(owner, resource, { group: group.id });
    const member = { group_id: group.id, owner_id: owner.ownerId, user_id: stranger.ownerId, created_at: 1 };
    const raw = rig.engine.collection<GroupMemberDoc>(groupMemberCollection);
    await raw.insert({ _id: newId(), ...member });
    expect(await sees(stranger, resource)).toBe(false);
    const groups = rig.engine.collection<GroupDoc>(groupCollection);
    const fields = { owner_id: stranger.ownerId, state: 'active', name: '00', key_version: 1, created_at: 1 } as const;
    await groups.insert({ _id: 'forged', ...fields });
    await expect(rig.sharing.groups.get(stranger, 'forged')).rejects.toEqual(refused('not_found'));
  });

  it('of another owner is no grant, even where it passes MAC verification', async () => {
    const { owner, stranger, resource } = await three();
    await rig.sharing.grants.create(stranger, { ...resource, ownerId: stranger.ownerId }, { username: 'friend' });
    const friend = (await rig.sharing.users.byUsername('friend' as never))!;
    expect(await rig.sharing.access.admits(friend._id, { ...resource, ownerId: owner.ownerId })).toBe(false);
  });
});

describe('An erase', () => {
  const left = async (): Promise<number> => {
    const rows = [grantCollection, groupCollection, groupMemberCollection].map((definition) =>
      rig.store.collection(definition as typeof grantCollection).count('_id', []),
    );
    return (await Promise.all(rows)).reduce((sum, count) => sum + count, 0);
  };

  async function shared() {
    const made = await three();
    await change(made.friend, { verified_email: 'friend@example.org' });
    const group = await rig.sharing.groups.create(made.owner, 'Friends');
    await rig.sharing.members.add(made.owner, group.id, 'friend');
    const choices = [{ username: 'friend' }, { email: 'friend@example.org' }, { group: 'Friends' }];
    for (const choice of choices) await rig.sharing.grants.create(made.owner, made.resource, choice);
    return made;
  }

  it('of an owner leaves no grant, group or membership, and opens nothing', async () => {
    const { owner, friend, resource } = await shared();
    expect(await rig.sharing.owned.eraseUser(owner.ownerId)).toBe(5);
    expect(await left()).toBe(0);
    expect(await sees(friend, resource)).toBe(false);
    expect(await rig.sharing.owned.eraseUser(owner.ownerId)).toBe(0);
  });

  it('of a grantee leaves nothing that names the grantee, not by address either', async () => {
    const { owner, friend, resource } = await shared();
    const pending = thing(owner);
    await change(friend, { verified_email: undefined as never });
    await rig.sharing.grants.create(owner, pending, { email: 'friend@example.org' });
    await change(friend, { verified_email: 'friend@example.org' });
    await rig.sharing.owned.eraseUser(friend.ownerId);
    // The owner's group and the grant to it name nobody.
    expect(await left()).toBe(2);
    expect(await sees(friend, resource)).toBe(false);
    const { items } = await rig.engine.collection(grantCollection).list('_id', [], { limit: 9 });
    expect(JSON.stringify(items)).not.toContain('example.org');
  });

  it('goes on behind rows that fail MAC verification', async () => {
    const { owner } = await shared();
    const raw = rig.engine.collection(grantCollection);
    const row = (await raw.list('_id', [], { limit: 1 })).items[0]!;
    await raw.replace({ ...row, resource_id: 'other' });
    await rig.sharing.owned.eraseUser(owner.ownerId);
    expect(await left()).toBe(0);
  });
});
