import { UseInterceptors } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum';
import { RouteConfig } from '@nestjs/platform-fastify';
import { takesPerson } from './caller';
import { IdempotencyInterceptor } from './idempotency.interceptor';
import { RoutePolicy, RouteRules, principalsOf, routeConfig } from './route-policy';

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
