export { GrantAccess } from './grants/grant-access';
export { GrantDto, GrantPageDto, NewGrantDto, newGrant } from './grants/grants.dto';
export { GrantedResources } from './grants/granted-resources';
export { Grants, type GrantView, type NewGrant } from './grants/grants';
export { ReceivedGrants, type ReceivedGrant } from './grants/received-grants';
export { SharingUserData } from './sharing-user-data';
export { SharingModule } from './sharing.module';
export { type Resource } from './grants/grant.collection';
export { SharedResources } from './grants/grants';
