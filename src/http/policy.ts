import { UseInterceptors } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum';
import { RouteConfig } from '@nestjs/platform-fastify';
import { RateLimitName } from '../config/config';
import { PrincipalKind, Scope } from '../kernel';
import { CostlyName } from './account-limits';
import { takesPerson } from './caller';
import { IdempotencyInterceptor } from './idempotency.interceptor';
import { RouteRules, routeConfig } from './route-config';

/** A route without a required principal. */
interface OpenRoute {
  /**
   * `optional` is for a route whose body can authenticate the caller too. If it does, an invalid
   * Authorization header is ignored (`@OptionalCaller`).
   */
  readonly access: 'public' | 'optional';
  readonly scope?: undefined;
}

interface GuardedRoute {
  /** Scope that the principal needs, else 403. */
  readonly scope: Scope;
  /** Permitted kinds of principals, if not all kinds that can have the scope. */
  readonly principals?: readonly PrincipalKind[];
  readonly access?: undefined;
}

/** Kinds of principals that own data. */
export const DATA_OWNERS = ['person', 'service-account', 'subject'] as const;

const PRINCIPALS: Readonly<Record<Scope, readonly PrincipalKind[]>> = {
  'sensitive-data:read': DATA_OWNERS,
  'sensitive-data:write': DATA_OWNERS,
  'files:read': DATA_OWNERS,
  'files:write': DATA_OWNERS,
  'files:share': DATA_OWNERS,
  account: ['person'],
  administration: ['person'],
};

/** The kinds of principals that may call a route; empty for an open route. */
export const principalsOf = (policy: RoutePolicy): readonly PrincipalKind[] =>
  policy.scope === undefined ? [] : (policy.principals ?? PRINCIPALS[policy.scope]);

export type RoutePolicy = RouteRequirements & (OpenRoute | GuardedRoute);

/**
 * All requirements of a route that are checked before its handler runs. A route without a policy
 * prevents the start (default deny); test/architecture snapshots the table.
 */
interface RouteRequirements {
  /**
   * Requires `auth_time` within 5 minutes, else 401 `step_up_required` (RFC 9470). Marked with a
   * flash in the API.
   */
  readonly stepUp?: boolean;
  /** Limit by client address and minute: RATE_LIMIT_<NAME>. */
  readonly rateLimit?: RateLimitName;
  /** Limit by account, concurrent and by minute (http/account-limits.ts). */
  readonly costly?: CostlyName;
  /**
   * A JSON POST that creates a resource and supports Idempotency-Key. `secret` responses are never
   * replayed.
   */
  readonly idempotent?: 'replay' | 'secret';
  /**
   * Served also while the service starts or stops: probes, metrics, documentation. Uses neither
   * store nor keys.
   */
  readonly always?: boolean;
  /**
   * A page for people, or a file of such a page: query parameters that mail programs and social
   * networks add are ignored.
   */
  readonly page?: boolean;
  /**
   * Maximum size of the body; default 1 MiB of JSON, 16 KiB on routes without a scope. With
   * `stream` the handler enforces the limit while it reads.
   */
  readonly body?: number | 'stream';
  /** Errors in the form of another protocol instead of RFC 9457: tus 1.0.0 (http/tus.ts). */
  readonly errors?: 'tus';
}

/**
 * Nest's metadata of a handler's parameters: `<kind>:<index>`, and the name if the decorator has
 * one.
 */
type DeclaredInput = Readonly<Record<string, { readonly data?: unknown }>>;

/** Declares a route's policy: `@Policy({ scope: 'files:read', stepUp: true })`. */
export function Policy(policy: RoutePolicy): MethodDecorator {
  const frozen = Object.freeze({ ...policy });
  return (target, key, descriptor: PropertyDescriptor) => {
    // Parameter decorators run before this one, so the inputs of the handler are known here.
    const declared = (Reflect.getMetadata(ROUTE_ARGS_METADATA, target.constructor, key) ?? {}) as DeclaredInput;
    requirePerson(frozen, Object.values(declared), `${target.constructor.name}.${String(key)}`);
    const kinds = Object.keys(declared).map((name) => Number(name.split(':')[0]));
    const rules: RouteRules = {
      policy: frozen,
      takesBody: kinds.includes(RouteParamtypes.BODY),
      takesQuery: kinds.includes(RouteParamtypes.QUERY),
      takesIfMatch: Object.values(declared).some(({ data }) => data === 'if-match'),
    };
    RouteConfig(routeConfig(rules))(target, key, descriptor);
    if (frozen.idempotent !== undefined) UseInterceptors(IdempotencyInterceptor)(target, key, descriptor);
  };
}

/** Prevents that a handler that requires a person is reachable for other principals. */
function requirePerson(policy: RoutePolicy, inputs: readonly object[], handler: string): void {
  if (!inputs.some(takesPerson) || principalsOf(policy).every((kind) => kind === 'person')) return;
  throw new TypeError(`${handler} takes a person, and its policy admits other principals`);
}
