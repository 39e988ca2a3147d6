export { ApiKeysUserData, BackendsUserData } from './backend-user-data';
export { externalId } from './external-id';
export { keyNameOf } from './key-name';
export { ServiceAccounts } from './service-accounts';
export { ServiceAccountsModule } from './service-accounts.module';
export { Subjects } from './subjects';
