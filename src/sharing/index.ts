export { LinkOpening, type LinkKey } from './links/link-opening';
export { type LinkDoc, type LinkKind } from './links/link.collection';
export { Links, type NewLink } from './links/links';
export { OwnedLinks } from './links/owned-links';
export { SharingModule } from './sharing.module';
export { TICKET_MS, Tickets, type NewTicket } from './links/tickets';
