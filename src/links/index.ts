export { type LinkDoc, type LinkKind } from './link.collection';
export { LinkRedemption, type LinkKey } from './link-redemption';
export { Links, type NewLink } from './links';
export { LinksSweeper } from './links-sweeper';
export { LinksUserData } from './links-user-data';
export { LONGEST_TICKET_MS, TICKET_MS, Tickets, type NewTicket } from './tickets';
