import { MINUTE, SECOND } from './clock';
import { DomainError } from './errors';
import { GrantedScope, Narrowed, Scope } from './scopes';

/** An auditor reads the audit log and has nothing else of an administrator. */
export type Role = 'user' | 'administrator' | 'auditor';

interface Identity extends Narrowed {
  /** Whose data the request works on: the account under which rows, keys and grants stand. */
  readonly ownerId: string;
  /** Who acts, as it stands in the audit log. */
  readonly actor: string;
  readonly scopes: readonly Scope[];
  /** The scopes of a key, with what they are narrowed to; absent where the principal has no key. */
  readonly granted?: readonly GrantedScope[];
  /**
   * For bodies that may come for hours. @throws DomainError where the session, the key or the link
   * that admitted the request has ended since.
   */
  readonly requireStillAdmitted: () => Promise<void>;
}

interface Authenticated extends Identity {
  /** When the caller last proved who it is, ms since the epoch: what step-up asks for. */
  readonly authTime: number;
}

/** Somebody with a password and a session, working on the data of the own account. */
export interface Person extends Authenticated {
  readonly kind: 'person';
  readonly username: string;
  readonly sessionId: string;
}

/** A backend, working on data of its own. */
export interface ServiceAccount extends Authenticated {
  readonly kind: 'service-account';
}

/** An end user of a backend, who has data and a key but no login. */
export interface Subject extends Authenticated {
  readonly kind: 'subject';
  /** Id of the service account that acts for the subject. */
  readonly act: string;
  /**
   * There while the subject is not: makes it, and resolves with the principal that it then is.
   * @throws DomainError `insufficient_scope`, `conflict`, `kms_unavailable`.
   */
  readonly establish?: () => Promise<Subject>;
}

/**
 * A key of a person: reaches the person's data by its scopes, and never what asks for a fresh
 * proof.
 */
export interface PersonalKey extends Identity {
  readonly kind: 'personal-key';
}

/** Somebody with the link to upload into an account. Learns nothing about the owner's files. */
export interface LinkHolder extends Identity {
  readonly kind: 'link-holder';
  readonly linkId: string;
  readonly ticketId: string;
  /** Bytes that a file may have; undefined without a limit of the link's own. */
  readonly largest: number | undefined;
}

/** Who makes a request, as the ports below establish it. */
export type Principal = Person | PersonalKey | ServiceAccount | Subject | LinkHolder;

export type PrincipalKind = Principal['kind'];

const OF_USERS: readonly Scope[] = [
  'sensitive-data:read',
  'sensitive-data:write',
  'files:read',
  'files:write',
  'files:share',
  'account',
];
const OF_ROLES: Readonly<Record<Role, readonly Scope[]>> = {
  user: OF_USERS,
  auditor: [...OF_USERS, 'audit'],
  administrator: [...OF_USERS, 'administration', 'audit'],
};

/** What a session of this role may do. */
export const scopesOf = (role: Role): readonly Scope[] => OF_ROLES[role];

/** How long a proof of identity is good for what is dangerous. */
export const STEP_UP_MS = 5 * MINUTE;

/**
 * How far the clocks of replicas may differ. A proof from further ahead comes from a clock that was
 * set back: its age is unknown.
 */
const CLOCK_SKEW_MS = 30 * SECOND;

/**
 * What a route's policy asks for by `stepUp`, and a service where it depends on more than the
 * route. @throws DomainError `step_up_required`, `insufficient_scope` (a person's key)
 */
export function requireFreshProof(principal: Principal, now: number): void {
  if (principal.kind === 'personal-key') {
    throw new DomainError('insufficient_scope', { detail: 'A key of a person does not reach this.' });
  }
  const age = principal.kind === 'link-holder' ? Infinity : now - principal.authTime;
  if (age >= -CLOCK_SKEW_MS && age <= STEP_UP_MS) return;
  throw new DomainError('step_up_required', {
    detail: 'Authenticate again with POST /step-up, then repeat the request.',
  });
}

/** What beside the bearer token says who calls. */
export interface Presented {
  /** The client's address, by TRUSTED_PROXIES. */
  readonly address: string;
  /** The values of each Coffer-Subject header, as sent. */
  readonly subjects: readonly string[];
}

/** Called by the request guard. */
export abstract class Authenticator {
  /**
   * The principal that a bearer token stands for: its session, or the API key that it is or comes
   * from, checked in the store.
   * @throws DomainError `unauthenticated` (no, forged or foreign token), `token_expired`,
   * `invalid_session` (ended session, replaced token), `account_disabled`; `validation_failed` for
   * a Coffer-Subject that is malformed, or beside anything but an API key.
   */
  abstract authenticate(bearerToken: string, presented: Presented): Promise<Principal>;
}

/** The part of the authenticator for sessions of persons. Implemented by auth/. */
export abstract class SessionAuthenticator {
  /** @throws as Authenticator */
  abstract authenticate(bearerToken: string): Promise<Person>;
}

/**
 * Tickets of upload links. Implemented by links/, called by the request guard on routes that admit
 * link holders.
 */
export abstract class UploadTickets {
  /** Whether a bearer token has the form of such a ticket: no access token has. */
  abstract isTicket(bearerToken: string): boolean;
  /** @throws DomainError `unauthenticated`, `token_expired`, `link_expired`. */
  abstract uploader(bearerToken: string): Promise<LinkHolder>;
}
