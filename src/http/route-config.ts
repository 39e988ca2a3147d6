import { RoutePolicy } from './policy';

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
