import { Global, Module } from '@nestjs/common';
import { UploadTickets } from '../kernel';
import { UsersModule } from '../users';
import { LinkOpening } from './links/link-opening';
import { Links } from './links/links';
import { LinksSweeper } from './links/links-sweeper';
import { OwnedLinks } from './links/owned-links';
import { Tickets } from './links/tickets';

/** Global for UploadTickets alone: the gate in http/ asks it, and http/ knows no feature. */
@Global()
@Module({
  imports: [UsersModule],
  providers: [LinkOpening, Links, LinksSweeper, OwnedLinks, Tickets, { provide: UploadTickets, useExisting: Tickets }],
  exports: [LinkOpening, Links, OwnedLinks, Tickets, UploadTickets],
})
export class SharingModule {}
