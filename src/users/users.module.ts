import { Module } from '@nestjs/common';
import { Administrators } from './administrators';
import { Users } from './users';
import { UsersController } from './users.controller';

@Module({ controllers: [UsersController], providers: [Users, Administrators], exports: [Users, Administrators] })
export class UsersModule {}
