import { MINUTE } from './clock';
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
}

/** How long a proof of identity is good for what is dangerous. */
export const STEP_UP_MS = 5 * MINUTE;

/** What a route's policy asks for by `stepUp`, and a service where it depends on more than the route. @throws DomainError `step_up_required` */
export function requireFreshProof({ authTime }: Principal, now: number): void {
  if (now - authTime <= STEP_UP_MS) return;
  throw new DomainError('step_up_required', { detail: 'Prove yourself again with POST /step-up, then repeat this.' });
}

/** Implemented by auth/, called by the guard in http/. */
export abstract class Authenticator {
  /**
   * The principal that a bearer token stands for, its session checked in the store.
   * @throws DomainError `unauthenticated` (no, forged or foreign token), `token_expired`, `invalid_session` (ended session,
   * replaced token), `account_disabled`.
   */
  abstract authenticate(bearerToken: string): Promise<Principal>;
}
