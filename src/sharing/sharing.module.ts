import { Global, Module } from '@nestjs/common';
import { UploadTickets } from '../kernel';
import { UsersModule } from '../users';
import { GrantAccess } from './grants/grant-access';
import { GrantedResources } from './grants/granted-resources';
import { Grantees } from './grants/grantees';
import { Grants } from './grants/grants';
import { ReceivedGrants } from './grants/received-grants';
import { GroupMembers } from './groups/group-members';
import { GroupRemoval } from './groups/group-removal';
import { Groups } from './groups/groups';
import { GroupsController } from './groups/groups.controller';
import { GroupsSweeper } from './groups/groups-sweeper';
import { Memberships } from './groups/memberships';
import { MembershipsController } from './groups/memberships.controller';
import { OwnMemberships } from './groups/own-memberships';
import { LinkRedemption, Links, LinksSweeper, LinksUserData, Tickets } from '../links';
import { SharingUserData } from './sharing-user-data';
import { SharedResources } from './shared-resources';

const grants = [GrantAccess, GrantedResources, Grantees, Grants, ReceivedGrants];
const groups = [GroupMembers, GroupRemoval, Groups, GroupsSweeper, Memberships, OwnMemberships];
const links = [LinkRedemption, Links, LinksSweeper, Tickets, { provide: UploadTickets, useExisting: Tickets }];
const owned = [LinksUserData, SharingUserData];

/** Global for UploadTickets alone: the gate in http/ asks it, and http/ knows no feature. */
@Global()
@Module({
  imports: [UsersModule],
  controllers: [GroupsController, MembershipsController],
  providers: [...grants, ...groups, ...links, ...owned, SharedResources],
  exports: [
    ...owned,
    GrantAccess,
    GrantedResources,
    Grants,
    LinkRedemption,
    Links,
    ReceivedGrants,
    SharedResources,
    Tickets,
    UploadTickets,
  ],
})
export class SharingModule {}
