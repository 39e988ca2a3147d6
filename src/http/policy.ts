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

/** A route that wants no principal. */
interface OpenRoute {
  /**
   * `optional` is for a route that proves the caller in its body as well: where it does, an
   * Authorization header that does not hold is passed over (`@OptionalCaller`).
   */
  readonly access: 'public' | 'optional';
  readonly scope?: undefined;
}

interface GuardedRoute {
  /** What the principal must have, else 403. */
  readonly scope: Scope;
  /** Which kinds of principal may call, where it is not all kinds that can have the scope. */
  readonly principals?: readonly PrincipalKind[];
  readonly access?: undefined;
}

/** Those whose own data lies here. */
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

/** Who may call a route; nobody is known on an open one. */
export const principalsOf = (policy: RoutePolicy): readonly PrincipalKind[] =>
  policy.scope === undefined ? [] : (policy.principals ?? PRINCIPALS[policy.scope]);

export type RoutePolicy = RouteRequirements & (OpenRoute | GuardedRoute);

/**
 * Everything that is decided about a route before its handler runs, in one place. A route without one stops the start
 * (default deny); test/architecture prints and snapshots the table.
 */
interface RouteRequirements {
  /** `auth_time` within 5 minutes, else 401 `step_up_required` (RFC 9470). Marked with a flash in the API. */
  readonly stepUp?: boolean;
  /** By client address, a minute: RATE_LIMIT_<NAME>. */
  readonly rateLimit?: RateLimitName;
  /** Bounded by account, at once and a minute (http/account-limits.ts). */
  readonly costly?: CostlyName;
  /** A JSON POST that creates: honours Idempotency-Key. `secret` answers are never replayed. */
  readonly idempotent?: 'replay' | 'secret';
  /** Answers also while the service starts or stops: probes, metrics, documentation. Reads neither store nor key. */
  readonly always?: boolean;
  /** A page for people, or a file of one: parameters that mail programs and social networks add to its address are passed over. */
  readonly page?: boolean;
  /** Bytes of body; default 1 MiB of JSON, 16 KiB where nobody has to sign in. `stream` leaves the limit to the handler, which counts as it reads. */
  readonly body?: number | 'stream';
  /** Refusals in the shape of another protocol instead of RFC 9457: tus 1.0.0 (http/tus.ts). */
  readonly errors?: 'tus';
}

/** What Nest keeps of a handler's parameters: `<kind>:<index>`, and the name where the decorator has one. */
type DeclaredInput = Readonly<Record<string, { readonly data?: unknown }>>;

/** Declares a route's policy: `@Policy({ scope: 'files:read', stepUp: true })`. */
export function Policy(policy: RoutePolicy): MethodDecorator {
  const frozen = Object.freeze({ ...policy });
  return (target, key, descriptor: PropertyDescriptor) => {
    // Decorators of parameters ran before this one, so what the handler takes is known here.
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

/** A handler that works on a session is not reached by whoever has none. */
function requirePerson(policy: RoutePolicy, inputs: readonly object[], handler: string): void {
  if (!inputs.some(takesPerson) || principalsOf(policy).every((kind) => kind === 'person')) return;
  throw new TypeError(`${handler} takes a person, and its policy admits other principals`);
}
