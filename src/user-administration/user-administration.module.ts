import { Module } from '@nestjs/common';
import { AuthModule } from '../auth';
import { HttpModule } from '../http';
import { UsersModule } from '../users';
import { UserAdministration } from './user-administration';
import { UserAdministrationController } from './user-administration.controller';
import { UserSearch } from './user-search';

@Module({
  imports: [UsersModule, AuthModule, HttpModule],
  controllers: [UserAdministrationController],
  providers: [UserAdministration, UserSearch],
  exports: [UserAdministration],
})
export class UserAdministrationModule {}
