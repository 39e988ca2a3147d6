import { Global, Module } from '@nestjs/common';
import { AuthModule } from '../auth';
import { Authenticator } from '../kernel';
import { UsersModule } from '../users';
import { ApiKeys } from './api-keys';
import { ApiKeysUserData, BackendsUserData } from './backend-user-data';
import { KeyAuthenticator } from './key-authenticator';
import { PersonalKeys } from './personal-keys';
import { PersonalKeysController } from './personal-keys.controller';
import { ServiceAccounts } from './service-accounts';
import { ServiceAccountsController } from './service-accounts.controller';
import { Subjects } from './subjects';
import { SubjectsController } from './subjects.controller';

/** Global for its Authenticator, which the request guard asks. */
@Global()
@Module({
  imports: [AuthModule, UsersModule],
  controllers: [ServiceAccountsController, PersonalKeysController, SubjectsController],
  providers: [
    ApiKeys,
    ApiKeysUserData,
    BackendsUserData,
    PersonalKeys,
    ServiceAccounts,
    Subjects,
    { provide: Authenticator, useClass: KeyAuthenticator },
  ],
  exports: [ApiKeysUserData, Authenticator, BackendsUserData, ServiceAccounts, Subjects],
})
export class ServiceAccountsModule {}
