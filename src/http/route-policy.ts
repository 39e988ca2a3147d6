import { RateLimitName } from '../config/config';
import { PrincipalKind, Scope } from '../kernel';
import { CostlyName } from './account-limits';

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
export const DATA_OWNERS = ['person', 'personal-key', 'service-account', 'subject'] as const;

const PRINCIPALS: Readonly<Record<Scope, readonly PrincipalKind[]>> = {
  'sensitive-data:read': DATA_OWNERS,
  'sensitive-data:write': DATA_OWNERS,
  'files:read': DATA_OWNERS,
  'files:write': DATA_OWNERS,
  'files:share': DATA_OWNERS,
  'keys:use': DATA_OWNERS,
  'subjects:create': ['service-account'],
  'subjects:erase': ['service-account'],
  'subjects:export': ['service-account'],
  'subjects:list': ['service-account'],
  account: ['person'],
  administration: ['person'],
  audit: ['person'],
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
  /** Creates the subject of the request before the handler runs, if it does not exist. */
  readonly firstWrite?: true;
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
 * The policy and the parameters of a handler, in the `config` of the Fastify route, where the hooks
 * read them.
 */
export interface RouteRules {
  readonly policy: RoutePolicy;
  /** True if the handler declares a body or a query; the input pipe then validates it. */
  readonly takesBody: boolean;
  readonly takesQuery: boolean;
  /** True if the handler declares the header If-Match; otherwise, a sent If-Match cannot match. */
  readonly takesIfMatch: boolean;
}

const MEMBER = 'coffer';

export const routeConfig = (rules: RouteRules): object => ({ [MEMBER]: rules });

export function rulesOf(config: object | undefined): RouteRules | undefined {
  return (config as Readonly<Record<string, RouteRules | undefined>> | undefined)?.[MEMBER];
}

export const policyOf = (config: object | undefined): RoutePolicy | undefined => rulesOf(config)?.policy;
