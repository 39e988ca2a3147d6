import { applyDecorators, SetMetadata } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';

/**
 * Who may call a route. `user` is any signed-in account; `administrator` also wants that role (else 403). `optional` is for a route
 * that proves the caller in its body as well: a bearer token that is sent must hold, none need be (`@OptionalCaller`).
 */
export type Access = 'public' | 'optional' | 'user' | 'administrator';

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
  /** Answers also while the service starts or stops: probes, metrics, documentation. Reads neither store nor key. */
  readonly always?: boolean;
  /** Bytes of body; default 1 MiB of JSON. `stream` leaves the limit to the handler, which counts as it reads. */
  readonly body?: number | 'stream';
}

export const ROUTE_POLICY = Symbol('coffer:route-policy');

/** Where the gate, which runs before the body is read, finds a route's policy: a member of the Fastify route's `config`. */
export const POLICY_CONFIG = 'policy';

/** Declares a route's policy: `@Policy({ access: 'user', stepUp: true })`. */
export function Policy(policy: RoutePolicy): MethodDecorator {
  const frozen = Object.freeze({ ...policy });
  return applyDecorators(SetMetadata(ROUTE_POLICY, frozen), RouteConfig({ [POLICY_CONFIG]: frozen }));
}
