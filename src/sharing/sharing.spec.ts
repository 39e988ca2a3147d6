import {
  change,
  grants,
  names,
  refused,
  rig,
  sees,
  someone,
  thing,
  three,
  useSharingRig,
} from '../../test/support/sharing-rig';
import { MINUTE, Principal, newId } from '../kernel';
import { Resource } from './grants/grant.collection';
import { groupCollection, groupMemberCollection } from './groups/group.collection';

useSharingRig();

describe('A grant', () => {
  it('admits its grantee to this one resource, and nobody else to anything', async () => {
    const { owner, friend, stranger, resource } = await three();
    const other = thing(owner);
    const grant = await rig.sharing.grants.create(owner, resource, { username: 'Friend' });
    expect(grant).toMatchObject({ username: 'friend', state: 'active', expires_at: null });
    expect(await sees(friend, resource)).toBe(true);
    expect(await sees(stranger, resource)).toBe(false);
    expect(await sees(friend, other)).toBe(false);
    expect(await sees(friend, { ...resource, type: 'file' })).toBe(false);
    expect(await names(friend)).toEqual([resource.id]);
    expect(await names(stranger)).toEqual([]);
  });

  it.each([
    ['no grantee', {}],
    ['two grantees', { username: 'friend', group: 'friends' }],
    ['three grantees', { username: 'friend', email: 'friend@example.org', group: 'friends' }],
    ['what is no address', { email: 'friend' }],
    ['an address with a line break', { email: 'friend@example.org\r\nBcc: all@example.org' }],
  ])('with %s is refused', async (_what, choice) => {
    const { owner, resource } = await three();
    await expect(rig.sharing.grants.create(owner, resource, choice)).rejects.toEqual(refused('validation_failed'));
  });

  it.each([
    ['an unknown user name', { username: 'nobody' }],
    ['what is no user name', { username: '../friend' }],
    ['an unknown group', { group: 'friends' }],
    ['the id of no group', { group: newId() }],
  ])('to %s is not found', async (_what, choice) => {
    const { owner, resource } = await three();
    await expect(rig.sharing.grants.create(owner, resource, choice)).rejects.toEqual(refused('not_found'));
  });

  it.each(['pending', 'erasing'] as const)('to an account that is %s is not found', async (state) => {
    const { owner, friend, resource } = await three();
    await change(friend, { state });
    const made = rig.sharing.grants.create(owner, resource, { username: 'friend' });
    await expect(made).rejects.toEqual(refused('not_found'));
  });

  it('to oneself is refused, by name and by address', async () => {
    const { owner, resource } = await three();
    await change(owner, { verified_email: 'owner@example.org' });
    for (const choice of [{ username: 'owner' }, { email: 'Owner@example.org' }]) {
      await expect(rig.sharing.grants.create(owner, resource, choice)).rejects.toEqual(refused('conflict'));
    }
  });

  it('ends at its time to the millisecond, and is in no list any more', async () => {
    const { owner, friend, resource } = await three();
    await rig.sharing.grants.create(owner, resource, { username: 'friend', expiresInMs: MINUTE });
    rig.clock.forward(MINUTE - 5_000);
    expect(await sees(friend, resource)).toBe(true);
    rig.clock.forward(5_000);
    expect(await sees(friend, resource)).toBe(false);
    expect(await names(friend)).toEqual([]);
    expect((await rig.sharing.grants.list(resource, { limit: 9, after: undefined })).grants).toEqual([]);
  });

  it('given again is the same grant with a new time', async () => {
    const { owner, friend, resource } = await three();
    const first = await rig.sharing.grants.create(owner, resource, { username: 'friend', expiresInMs: MINUTE });
    const again = await rig.sharing.grants.create(owner, resource, { username: 'FRIEND' });
    expect(again).toEqual({ ...first, expires_at: null });
    rig.clock.forward(2 * MINUTE);
    expect(await sees(friend, resource)).toBe(true);
  });

  it('given again after its end is another one', async () => {
    const { owner, friend, resource } = await three();
    const first = await rig.sharing.grants.create(owner, resource, { username: 'friend', expiresInMs: MINUTE });
    rig.clock.forward(MINUTE);
    const revoked = rig.sharing.grants.revoke(owner, resource, first.id);
    await expect(revoked).rejects.toEqual(refused('not_found'));
    const again = await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    expect(again.id).not.toBe(first.id);
    expect(await sees(friend, resource)).toBe(true);
  });

  it('given many times at once is one grant', async () => {
    const { owner, resource } = await three();
    const made = await Promise.all(
      Array.from({ length: 10 }, () => rig.sharing.grants.create(owner, resource, { username: 'friend' })),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect((await rig.sharing.grants.list(resource, { limit: 50, after: undefined })).grants).toHaveLength(1);
  });

  it('that is revoked admits nobody, and is revoked once', async () => {
    const { owner, friend, resource } = await three();
    const { id } = await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    const elsewhere = rig.sharing.grants.revoke(owner, thing(owner), id);
    await expect(elsewhere).rejects.toEqual(refused('not_found'));
    expect(await sees(friend, resource)).toBe(true);
    await rig.sharing.grants.revoke(owner, resource, id);
    expect(await sees(friend, resource)).toBe(false);
    await expect(rig.sharing.grants.revoke(owner, resource, id)).rejects.toEqual(refused('not_found'));
  });

  it('rests while its owner is disabled, and is gone when the owner is being erased', async () => {
    const { owner, friend, resource } = await three();
    await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    for (const state of ['disabled', 'erasing'] as const) {
      await change(owner, { state });
      expect(await sees(friend, resource)).toBe(false);
      expect(await names(friend)).toEqual([]);
    }
    await change(owner, { state: 'active' });
    expect(await sees(friend, resource)).toBe(true);
  });

  it('leaves audit entries with ids alone', async () => {
    const { owner, friend, resource } = await three();
    await change(friend, { verified_email: 'friend@example.org' });
    const { id } = await rig.sharing.grants.create(owner, resource, { email: 'friend@example.org' });
    await rig.sharing.grants.revoke(owner, resource, id);
    const entries = await rig.auditEntries();
    const said = JSON.stringify(entries);
    expect(said).toContain('grant.create');
    expect(said).toContain('grant.revoke');
    expect(said).toContain(id);
    expect(said).not.toMatch(/example\.org/);
  });
});

describe('A grant to an address', () => {
  const email = 'Friend@Example.org';

  it('is active at once where an account has verified it, and answers with the address as it was sent', async () => {
    const { owner, friend, resource } = await three();
    await change(friend, { verified_email: 'friend@example.org' });
    const grant = await rig.sharing.grants.create(owner, resource, { email });
    expect(grant).toEqual({
      id: expect.any(String),
      email,
      state: 'active',
      created_at: expect.any(String),
      expires_at: null,
    });
    expect(await sees(friend, resource)).toBe(true);
  });

  it('opens nothing for an account that only says that the address is its own', async () => {
    const { owner, friend, resource } = await three();
    expect(await rig.sharing.grants.create(owner, resource, { email })).toMatchObject({ email, state: 'pending' });
    expect(await sees(friend, resource)).toBe(false);
    expect(await names(friend)).toEqual([]);
    await change(friend, { verified_email: 'another@example.org' });
    expect(await sees(friend, resource)).toBe(false);
  });

  it.each([
    ['at the first access', (friend: Principal, resource: Resource) => sees(friend, resource)],
    ['when its holder lists', (friend: Principal) => names(friend)],
    [
      'when its owner lists',
      (_friend: Principal, resource: Resource) => rig.sharing.grants.list(resource, { limit: 9, after: undefined }),
    ],
  ])('goes to the first account that verifies it, %s, and stays with that account', async (_when, look) => {
    const { owner, friend, stranger, resource } = await three();
    await rig.sharing.grants.create(owner, resource, { email });
    await change(friend, { verified_email: 'friend@example.org' });
    await look(friend, resource);
    const { grants: listed } = await rig.sharing.grants.list(resource, { limit: 9, after: undefined });
    expect(listed).toEqual([expect.objectContaining({ email, state: 'active' })]);
    await change(friend, { verified_email: 'new@example.org' });
    await change(stranger, { verified_email: 'friend@example.org' });
    expect(await sees(stranger, resource)).toBe(false);
    expect(await names(stranger)).toEqual([]);
    expect(await sees(friend, resource)).toBe(true);
  });

  it('that has changed hands goes to its new holder when it is given again', async () => {
    const { owner, friend, stranger, resource } = await three();
    await change(friend, { verified_email: 'friend@example.org' });
    const first = await rig.sharing.grants.create(owner, resource, { email });
    await change(friend, { verified_email: 'new@example.org' });
    await change(stranger, { verified_email: 'friend@example.org' });
    expect((await rig.sharing.grants.create(owner, resource, { email })).id).toBe(first.id);
    expect(await sees(friend, resource)).toBe(false);
    expect(await sees(stranger, resource)).toBe(true);
  });

  it('that expired while it was pending opens nothing when the address is verified', async () => {
    const { owner, friend, resource } = await three();
    await rig.sharing.grants.create(owner, resource, { email, expiresInMs: MINUTE });
    rig.clock.forward(MINUTE);
    await change(friend, { verified_email: 'friend@example.org' });
    expect(await sees(friend, resource)).toBe(false);
    expect(await names(friend)).toEqual([]);
  });

  it('stays beside the one to the user name: the end of one leaves the other', async () => {
    const { owner, friend, resource } = await three();
    await change(friend, { verified_email: 'friend@example.org' });
    const byName = await rig.sharing.grants.create(owner, resource, { username: 'friend' });
    const byAddress = await rig.sharing.grants.create(owner, resource, { email });
    expect(byAddress.id).not.toBe(byName.id);
    expect(await names(friend)).toEqual([resource.id]);
    await rig.sharing.grants.revoke(owner, resource, byName.id);
    expect(await sees(friend, resource)).toBe(true);
    await rig.sharing.grants.revoke(owner, resource, byAddress.id);
    expect(await sees(friend, resource)).toBe(false);
  });
});

describe('A group', () => {
  async function withGroup() {
    const made = await three();
    const group = await rig.sharing.groups.create(made.owner, 'Friends');
    await rig.sharing.members.add(made.owner, group.id, 'friend');
    return { ...made, group };
  }

  it.each([['id'], ['name']] as const)('is granted to by its %s, and admits its members', async (field) => {
    const { owner, friend, stranger, resource, group } = await withGroup();
    const grant = await rig.sharing.grants.create(owner, resource, { group: group[field] });
    expect(grant).toMatchObject({ group: 'Friends', state: 'active' });
    expect(await sees(friend, resource)).toBe(true);
    expect(await sees(stranger, resource)).toBe(false);
    expect(await names(friend)).toEqual([resource.id]);
  });

  it('lets nobody in who was taken out, and those who come later in', async () => {
    const { owner, friend, stranger, resource, group } = await withGroup();
    await rig.sharing.grants.create(owner, resource, { group: group.id });
    await rig.sharing.members.remove(owner, group.id, 'friend');
    expect(await sees(friend, resource)).toBe(false);
    expect(await names(friend)).toEqual([]);
    await rig.sharing.members.add(owner, group.id, 'stranger');
    expect(await sees(stranger, resource)).toBe(true);
    const again = rig.sharing.members.remove(owner, group.id, 'friend');
    await expect(again).rejects.toEqual(refused('not_found'));
  });

  it('that is removed ends its grants, and frees its name', async () => {
    const { owner, friend, resource, group } = await withGroup();
    await rig.sharing.grants.create(owner, resource, { group: group.id });
    await rig.sharing.groups.remove(owner, group.id);
    expect(await sees(friend, resource)).toBe(false);
    expect((await rig.sharing.grants.list(resource, { limit: 9, after: undefined })).grants).toEqual([]);
    expect((await grants().list('_id', [], { limit: 9 })).items).toEqual([]);
    await expect(rig.sharing.groups.get(owner, group.id)).rejects.toEqual(refused('not_found'));
    const next = await rig.sharing.groups.create(owner, 'Friends');
    expect(await rig.sharing.members.list(owner, next.id)).toEqual([]);
  });

  it('is somebody else nothing: not to see, change, grant to or remove', async () => {
    const { owner, stranger, group } = await withGroup();
    const { groups, members } = rig.sharing;
    const tries: readonly (() => Promise<unknown>)[] = [
      () => groups.get(stranger, group.id),
      () => groups.remove(stranger, group.id),
      () => members.list(stranger, group.id),
      () => members.add(stranger, group.id, 'stranger'),
      () => members.remove(stranger, group.id, 'friend'),
      () => rig.sharing.grants.create(stranger, thing(stranger), { group: group.id }),
      () => rig.sharing.grants.create(stranger, thing(stranger), { group: 'Friends' }),
    ];
    for (const attempt of tries) await expect(attempt()).rejects.toEqual(refused('not_found'));
    expect((await groups.list(stranger, { limit: 9, after: undefined })).groups).toEqual([]);
    expect(await members.list(owner, group.id)).toEqual([{ username: 'friend', added_at: expect.any(String) }]);
  });

  it('has a name that is unique for its owner, and sealed', async () => {
    const { owner, stranger } = await withGroup();
    await expect(rig.sharing.groups.create(owner, 'Friends')).rejects.toEqual(refused('conflict'));
    await rig.sharing.groups.create(stranger, 'Friends');
    const { items } = await rig.engine.collection(groupCollection).list('_id', [], { limit: 9 });
    expect(items).toHaveLength(2);
    expect(JSON.stringify(items)).not.toContain('Friends');
  });

  it('takes in neither who is not there nor who is being erased', async () => {
    const { owner, stranger, group } = await withGroup();
    await change(stranger, { state: 'erasing' });
    for (const name of ['nobody', 'stranger', '..']) {
      await expect(rig.sharing.members.add(owner, group.id, name)).rejects.toEqual(refused('not_found'));
    }
  });

  it('whose removal stopped half-way is finished by the sweeper, and opens nothing before', async () => {
    const { owner, friend, resource, group } = await withGroup();
    await rig.sharing.grants.create(owner, resource, { group: group.id });
    await rig.sharing.removal.begin(group.id);
    expect(await sees(friend, resource)).toBe(false);
    await rig.sharing.sweeper.sweep();
    expect((await rig.store.collection(groupCollection).list('_id', [], { limit: 9 })).items).toEqual([]);
    expect((await rig.store.collection(groupMemberCollection).list('_id', [], { limit: 9 })).items).toEqual([]);
    expect((await grants().list('_id', [], { limit: 9 })).items).toEqual([]);
  });

  it('keeps its name when its owner has another key version', async () => {
    const { owner, group } = await withGroup();
    await rig.addUserKeyVersion(owner.ownerId);
    expect(await rig.sharing.owned.countByKeyVersion(owner.ownerId, [1])).toEqual([1]);
    expect(await rig.sharing.owned.reencrypt(owner.ownerId)).toBe(1);
    expect(await rig.sharing.owned.countByKeyVersion(owner.ownerId, [1])).toEqual([0]);
    expect((await rig.sharing.groups.get(owner, group.id)).name).toBe('Friends');
    expect((await rig.sharing.groups.named(owner.ownerId, 'Friends'))._id).toBe(group.id);
  });
});

describe('The list of what was granted', () => {
  it('merges all sources in the order of the grants, each resource once, over pages of any size', async () => {
    const { owner, friend } = await three();
    const second = await someone('second');
    await change(friend, { verified_email: 'friend@example.org' });
    const groups = [];
    for (const [user, name] of [
      [owner, 'One'],
      [owner, 'Two'],
      [second, 'One'],
    ] as const) {
      const { id } = await rig.sharing.groups.create(user, name);
      await rig.sharing.members.add(user, id, 'friend');
      groups.push({ user, id });
    }
    const wanted: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      const { user, id } = groups[round % 3]!;
      const choices = [{ group: id }, { username: 'friend' }, { email: 'friend@example.org' }];
      const resource = thing(user);
      wanted.push(resource.id);
      // Each in all three ways, the first way another one each time.
      for (let way = 0; way < 3; way += 1) {
        await rig.sharing.grants.create(user, resource, choices[(round + way) % 3]!);
      }
    }
    for (const limit of [1, 2, 5, 50]) {
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await rig.sharing.granted.list(friend.ownerId, { type: 'thing', limit, after });
        seen.push(...page.resources.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(wanted);
    }
  });

  it('leaves out what is of another type', async () => {
    const { owner, friend, resource } = await three();
    await rig.sharing.grants.create(owner, { ...resource, type: 'file-key' }, { username: 'friend' });
    expect(await names(friend)).toEqual([]);
  });
});
