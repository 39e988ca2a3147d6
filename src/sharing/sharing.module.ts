import { Global, Module, OnModuleInit } from '@nestjs/common';
import { Scheduler } from '../jobs';
import { HOUR, MINUTE, UploadTickets } from '../kernel';
import { LinkRedemption, Links, LinksUserData, Tickets } from '../links';
import { UsersModule } from '../users';
import { GrantAccess } from './grants/grant-access';
import { GrantedResources } from './grants/granted-resources';
import { Grantees } from './grants/grantees';
import { Grants, SharedResources } from './grants/grants';
import { ReceivedGrants } from './grants/received-grants';
import { GroupMembers } from './groups/group-members';
import { GroupRemoval, GroupsSweeper } from './groups/group-removal';
import { Groups } from './groups/groups';
import { GroupsController, MembershipsController } from './groups/groups.controller';
import { Memberships, OwnMemberships } from './groups/memberships';
import { SharingUserData } from './sharing-user-data';

const grants = [GrantAccess, GrantedResources, Grantees, Grants, ReceivedGrants];
const groups = [GroupMembers, GroupRemoval, Groups, GroupsSweeper, Memberships, OwnMemberships];
const links = [LinkRedemption, Links, Tickets, { provide: UploadTickets, useExisting: Tickets }];
const owned = [LinksUserData, SharingUserData];

/**
 * Global for UploadTickets alone: the request guard in http/ uses it, and http/ knows no feature.
 */
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
export class SharingModule implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly groups: GroupsSweeper,
    private readonly links: Links,
  ) {}

  onModuleInit(): void {
    this.scheduler.every('groups.sweep', MINUTE, () => this.groups.sweep());
    this.scheduler.every('links.sweep', HOUR, () => this.links.sweep());
  }
}
