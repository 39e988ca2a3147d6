import { RoutePolicy } from './policy';

/** What a route's policy and its handler's parameters say, where the hooks find it: in the `config` of the Fastify route. */
export interface RouteRules {
  readonly policy: RoutePolicy;
  /** Whether the handler declares a body and a query; the input pipe then looks into them. */
  readonly takesBody: boolean;
  readonly takesQuery: boolean;
  /** Whether the handler declares the header If-Match; where it does not, one that is sent cannot hold. */
  readonly takesIfMatch: boolean;
}

const MEMBER = 'coffer';

export const routeConfig = (rules: RouteRules): object => ({ [MEMBER]: rules });

export function rulesOf(config: object | undefined): RouteRules | undefined {
  return (config as Readonly<Record<string, RouteRules | undefined>> | undefined)?.[MEMBER];
}

export const policyOf = (config: object | undefined): RoutePolicy | undefined => rulesOf(config)?.policy;
