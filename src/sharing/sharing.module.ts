import { Module } from '@nestjs/common';
import { UsersModule } from '../users';
import { GrantAccess } from './grants/grant-access';
import { GrantedResources } from './grants/granted-resources';
import { Grantees } from './grants/grantees';
import { Grants } from './grants/grants';
import { GroupMembers } from './groups/group-members';
import { GroupRemoval } from './groups/group-removal';
import { Groups } from './groups/groups';
import { GroupsController } from './groups/groups.controller';
import { GroupsSweeper } from './groups/groups-sweeper';
import { Memberships } from './groups/memberships';
import { OwnedSharing } from './owned-sharing';

const grants = [GrantAccess, GrantedResources, Grantees, Grants];
const groups = [GroupMembers, GroupRemoval, Groups, GroupsSweeper, Memberships];

@Module({
  imports: [UsersModule],
  controllers: [GroupsController],
  providers: [...grants, ...groups, OwnedSharing],
  exports: [GrantAccess, GrantedResources, Grants, OwnedSharing],
})
export class SharingModule {}
