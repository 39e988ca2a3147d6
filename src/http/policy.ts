import { SetMetadata } from '@nestjs/common';

/** Who may call a route. `user` is any signed-in account; `administrator` also wants that role (else 403). */
export type Access = 'public' | 'user' | 'administrator';

/** Limits by client address for costly public routes; their quotas are in http/rate-limits.ts. */
export type RateLimitName = 'login' | 'register' | 'codes' | 'refresh';

/**
 * Everything that is decided about a route before its handler runs, in one place. A route without one stops the start
 * (default deny); test/architecture prints and snapshots the table.
 */
export interface RoutePolicy {
  readonly access: Access;
  /** `auth_time` within 5 minutes, else 401 `step_up_required` (RFC 9470). Marked with a flash in the API. */
  readonly stepUp?: boolean;
  readonly rateLimit?: RateLimitName;
  /** A JSON POST that creates: honours Idempotency-Key. `secret` answers are never replayed. */
  readonly idempotent?: 'replay' | 'secret';
  /** Bytes of body; default 1 MiB of JSON. `stream` leaves the limit to the handler, which counts as it reads. */
  readonly body?: number | 'stream';
}

export const ROUTE_POLICY = Symbol('coffer:route-policy');

/** Declares a route's policy: `@Policy({ access: 'user', stepUp: true })`. */
export const Policy = (policy: RoutePolicy): MethodDecorator => SetMetadata(ROUTE_POLICY, Object.freeze(policy));
