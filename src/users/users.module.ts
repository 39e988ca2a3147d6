import { Module } from '@nestjs/common';
import { Users } from './users';
import { UsersController } from './users.controller';

@Module({ controllers: [UsersController], providers: [Users], exports: [Users] })
export class UsersModule {}
