import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import { FastifyRequest } from 'fastify';
import { Person, Principal } from '../kernel';

const principals = new WeakMap<object, Principal>();

/** Stores the principal that the request guard admitted, for the lifetime of the request. */
export function setPrincipal(request: FastifyRequest, principal: Principal): void {
  principals.set(request.raw, principal);
}

export const principalOf = (request: FastifyRequest): Principal | undefined => principals.get(request.raw);

const requestOf = (context: ExecutionContext): FastifyRequest => context.switchToHttp().getRequest<FastifyRequest>();

/**
 * Injects the caller: `handler(@Caller() caller: Principal)`, on routes whose policy requires a
 * scope.
 */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const principal = principalOf(requestOf(context));
  if (principal === undefined) throw new TypeError('@Caller on a route whose policy lets anybody in');
  return principal;
});

function callingPerson(_: unknown, context: ExecutionContext): Person {
  const principal = principalOf(requestOf(context));
  if (principal?.kind !== 'person') throw new TypeError('@CallerPerson on a route whose policy admits others');
  return principal;
}

/** Injects the caller on routes that admit only persons; `Policy` rejects it on other routes. */
export const CallerPerson = createParamDecorator(callingPerson);

/** True if an input of a handler, as Nest stores it, is a `@CallerPerson()`. */
export const takesPerson = (input: object): boolean => 'factory' in input && input.factory === callingPerson;

const refusals = new WeakMap<object, unknown>();

/**
 * Stores the reason why the Authorization header is invalid, for a route where the header is
 * optional.
 */
export function setRefusal(request: FastifyRequest, refusal: unknown): void {
  refusals.set(request.raw, refusal);
}

/**
 * The caller on routes with `access: 'optional'`. The handler calls it only if the body does not
 * authenticate the caller; it throws if the token is invalid.
 */
export type AskedCaller = () => Person | undefined;

export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): AskedCaller => {
  const request = requestOf(context);
  return () => {
    if (refusals.has(request.raw)) throw refusals.get(request.raw);
    const principal = principalOf(request);
    return principal?.kind === 'person' ? principal : undefined;
  };
});

/** The client's address, determined by TRUSTED_PROXIES. */
export const ClientAddress = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => requestOf(context).ip,
);
