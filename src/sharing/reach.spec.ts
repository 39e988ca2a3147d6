import { names, rig, someone, three, useSharingRig } from '../../test/support/sharing-rig';
import { Principal, newId } from '../kernel';
import { Collection } from '../store';
import { GrantDoc, grantCollection } from './grants/grant.collection';
import { groupCollection, groupMemberCollection } from './groups/group.collection';

useSharingRig();

const GROUPS = 300;

/**
 * Many groups of an owner with the friend in each: written as rows, which is what a thousand
 * requests leave behind.
 */
async function groupsWith(owner: Principal, friend: Principal, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId());
  const fields = { owner_id: owner.ownerId, created_at: rig.clock.now() };
  const [groups, members] = [rig.store.collection(groupCollection), rig.store.collection(groupMemberCollection)];
  await Promise.all(
    ids.map(async (id) => {
      await groups.insert({ ...fields, _id: id, state: 'active', name: '', name_index: id, key_version: 1 });
      await members.insert({ ...fields, _id: newId(), group_id: id, user_id: friend.ownerId });
    }),
  );
  return ids;
}

let age = 0;
const grant = (owner: Principal, resource: string, group: string): Promise<GrantDoc> =>
  rig.store.collection(grantCollection).insert({
    ...{ _id: newId(), owner_id: owner.ownerId, resource_type: 'thing', resource_id: resource },
    ...{ asked_kind: 'group', asked_for: group, grantee_kind: 'group', grantee_id: group },
    created_at: 1_700_000_000_000 + (age += 1),
  });

/** Reads of the store that `work` took. */
async function readsOf(work: () => Promise<unknown>): Promise<number> {
  const rows = rig.store.collection(grantCollection);
  const proto = Object.getPrototypeOf(rows) as Collection<GrantDoc>;
  const [find, list] = [jest.spyOn(proto, 'find'), jest.spyOn(proto, 'list')];
  await work();
  const reads = find.mock.calls.length + list.mock.calls.length;
  find.mockRestore();
  list.mockRestore();
  return reads;
}

async function allPages(user: Principal, limit: number): Promise<{ readonly ids: string[]; readonly most: number }> {
  const ids: string[] = [];
  let most = 0;
  let after: string | undefined;
  do {
    const reads = await readsOf(async () => {
      const page = await rig.sharing.granted.list(user.ownerId, { type: 'thing', limit, after });
      ids.push(...page.resources.map(({ id }) => id));
      after = page.next;
    });
    most = Math.max(most, reads);
  } while (after !== undefined);
  return { ids, most };
}

describe('What reaches a user by hundreds of groups', () => {
  it('is found by reads in proportion to the groups, each thing once, oldest grant first', async () => {
    const { owner, friend } = await three();
    const groups = await groupsWith(owner, friend, GROUPS);
    const things = Array.from({ length: 40 }, () => newId());
    // Each thing is granted to several groups, so that most grants of later pages were shown
    // before.
    for (let at = 0; at < 160; at += 1) await grant(owner, things[at % 40]!, groups[(at * 7) % GROUPS]!);
    const { ids, most } = await allPages(friend, 30);
    expect(ids).toEqual(things);
    expect(most).toBeLessThan(4 * GROUPS);
  });

  it('is found in bounded work where one thing has hundreds of grants to strangers', async () => {
    const { owner, friend } = await three();
    const groups = await groupsWith(owner, friend, 20);
    const [hidden, seen] = [newId(), newId()];
    for (let at = 0; at < 200; at += 1) await grant(owner, hidden, newId());
    await grant(owner, seen, groups[0]!);
    for (const group of groups.slice(1)) await grant(owner, hidden, group);
    const { ids, most } = await allPages(friend, 2);
    expect(ids).toEqual([seen, hidden]);
    expect(most).toBeLessThan(200);
  });

  it('lets other requests have the event loop meanwhile', async () => {
    const { owner, friend } = await three();
    const groups = await groupsWith(owner, friend, GROUPS);
    await grant(owner, newId(), groups[0]!);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    await names(friend);
    clearInterval(timer);
    // Reads of the embedded store are microtasks, which leave no turn to a timer.
    expect(turns).toBeGreaterThan(1);
    expect(await someone('late')).toBeDefined();
  });
});

describe('What reaches a user whom strangers took into thousands of groups', () => {
  it('is found in bounded work a page, and what an honest owner grants is among it once', async () => {
    const { owner, friend, stranger } = await three();
    const members = rig.store.collection(groupMemberCollection);
    const [early] = await groupsWith(owner, friend, 1);
    const stray = (): Promise<unknown> =>
      members.insert({
        ...{ _id: newId(), group_id: newId(), owner_id: stranger.ownerId },
        ...{ user_id: friend.ownerId, created_at: rig.clock.now() },
      });
    for (let at = 0; at < 2_100; at += 100) await Promise.all(Array.from({ length: 100 }, stray));
    const [late, later] = await groupsWith(owner, friend, 2);
    const [one, two, three_] = [newId(), newId(), newId()];
    for (const [thing, group] of [
      [one, late],
      [two, early],
      [two, late],
      [one, later],
      [three_, later],
    ] as const) {
      await grant(owner, thing, group!);
    }
    for (const limit of [1, 2, 50]) {
      const { ids, most } = await allPages(friend, limit);
      expect(ids).toEqual([two, one, three_]);
      expect(most).toBeLessThan(1_200);
    }
  });
});
