import { MINUTE, SECOND } from './clock';
import { DomainError } from './errors';

export type Role = 'user' | 'administrator';

/** Who makes a request, as the Authenticator port established it. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly role: Role;
  readonly sessionId: string;
  /** When this session last proved a password (and second factor), ms since the epoch: what step-up asks for. */
  readonly authTime: number;
  /** A sender into a drop box: acts for its owner, on the one route that takes tickets, and is told nothing about the owner's files. */
  readonly dropBox?: UploadLinkTarget;
  /** On routes whose body may come for hours. @throws DomainError where the session or the link that admitted the request has ended since. */
  readonly requireStillAdmitted?: () => Promise<void>;
}

export interface UploadLinkTarget {
  readonly linkId: string;
  readonly ticketId: string;
  /** Bytes that the file may have; undefined without a limit of the link's own. */
  readonly largest: number | undefined;
}

/** How long a proof of identity is good for what is dangerous. */
export const STEP_UP_MS = 5 * MINUTE;

/** How far the clocks of replicas may differ. A proof from further ahead comes from a clock that was set back: its age is unknown. */
const CLOCK_SKEW_MS = 30 * SECOND;

/** What a route's policy asks for by `stepUp`, and a service where it depends on more than the route. @throws DomainError `step_up_required` */
export function requireFreshProof({ authTime }: Principal, now: number): void {
  const age = now - authTime;
  if (age >= -CLOCK_SKEW_MS && age <= STEP_UP_MS) return;
  throw new DomainError('step_up_required', {
    detail: 'Authenticate again with POST /step-up, then repeat the request.',
  });
}

/** Implemented by auth/, called by the guard in http/. */
export abstract class Authenticator {
  /**
   * The principal that a bearer token stands for, its session checked in the store.
   * @throws DomainError `unauthenticated` (no, forged or foreign token), `token_expired`, `invalid_session` (ended session,
   * replaced token), `account_disabled`.
   */
  abstract authenticate(bearerToken: string): Promise<Principal>;
  /**
   * Whether the session still lives and its account is enabled. The token itself may have run out, or been replaced, since it was shown.
   * @throws DomainError `invalid_session`, `account_disabled`.
   */
  abstract requireSession(principal: Principal): Promise<void>;
}

/** Tickets of drop boxes. Implemented by sharing/, called by the guard in http/ on routes whose policy takes them. */
export abstract class UploadTickets {
  /** Whether a bearer token has the form of such a ticket: no access token has. */
  abstract isTicket(bearerToken: string): boolean;
  /** @throws DomainError `unauthenticated`, `token_expired`, `link_expired`. */
  abstract uploader(bearerToken: string): Promise<Principal>;
  /** Whether the link is still there and its owner enabled. @throws DomainError `link_expired`. */
  abstract requireLink(dropBox: UploadLinkTarget): Promise<void>;
}
