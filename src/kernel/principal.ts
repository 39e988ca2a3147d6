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

/** Implemented by auth/, called by the guard in http/. */
export abstract class Authenticator {
  /**
   * The principal that a bearer token stands for, its session checked in the store.
   * @throws DomainError `unauthenticated` (no, forged or foreign token), `token_expired`, `invalid_session` (ended session,
   * replaced token), `account_disabled`.
   */
  abstract authenticate(bearerToken: string): Promise<Principal>;
}
