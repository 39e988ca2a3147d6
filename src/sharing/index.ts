export { GrantAccess } from './grants/grant-access';
export { GrantedResources } from './grants/granted-resources';
export { Grants, type GrantView, type NewGrant } from './grants/grants';
export { GrantDto, GrantPageDto, NewGrantDto, newGrant } from './grants/grants.dto';
export { OwnedSharing } from './owned-sharing';
export { type Resource } from './resource';
export { SharingModule } from './sharing.module';
