export { type LinkDoc, type LinkKind } from './link.collection';
export { LinkRedemption, type LinkKey } from './link-redemption';
export { Links, LinksUserData, type NewLink } from './links';
export { LONGEST_TICKET_MS, TICKET_MS, Tickets, type NewTicket } from './tickets';
