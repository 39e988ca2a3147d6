import { AuditSink, Clock } from '../../src/kernel';
import { Sealer } from '../../src/keys/user-keys';
import { GrantAccess } from '../../src/sharing/grants/grant-access';
import { GrantedResources } from '../../src/sharing/grants/granted-resources';
import { Grantees } from '../../src/sharing/grants/grantees';
import { Grants } from '../../src/sharing/grants/grants';
import { ReceivedGrants } from '../../src/sharing/grants/received-grants';
import { GroupMembers } from '../../src/sharing/groups/group-members';
import { GroupRemoval, GroupsSweeper } from '../../src/sharing/groups/group-removal';
import { Groups } from '../../src/sharing/groups/groups';
import { Memberships, OwnMemberships } from '../../src/sharing/groups/memberships';
import { SharingUserData } from '../../src/sharing/sharing-user-data';
import { Store } from '../../src/store';
import { Users } from '../../src/users';

interface Below {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly audit: AuditSink;
  readonly clock: Clock;
}

/** The sharing fixture, put together as its module does. */
export function sharingParts({ store, sealer, audit, clock }: Below) {
  const users = new Users(store);
  const removal = new GroupRemoval(store, clock);
  const memberships = new Memberships(store);
  const groups = new Groups(store, sealer, removal, audit, clock);
  const members = new GroupMembers(store, groups, users, audit, clock);
  const grantees = new Grantees(store, users, groups, clock);
  const grants = new Grants(store, grantees, users, groups, audit, clock);
  const access = new GrantAccess(store, grantees, memberships, users, clock);
  const granted = new GrantedResources(store, access, grantees, memberships, clock);
  const received = new ReceivedGrants(store, grantees, users, audit, clock);
  const ownMemberships = new OwnMemberships(store, sealer, users, audit);
  const sweeper = new GroupsSweeper(store, removal, clock);
  const owned = new SharingUserData(store, sealer, users, removal);
  return { users, removal, groups, members, grants, access, granted, received, ownMemberships, sweeper, owned };
}
