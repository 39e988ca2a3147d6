import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import { FastifyRequest } from 'fastify';
import { Person, Principal } from '../kernel';

const principals = new WeakMap<object, Principal>();

/** Remembers whom the request guard let in, for as long as the request lives. */
export function setPrincipal(request: FastifyRequest, principal: Principal): void {
  principals.set(request.raw, principal);
}

export const principalOf = (request: FastifyRequest): Principal | undefined => principals.get(request.raw);

const requestOf = (context: ExecutionContext): FastifyRequest => context.switchToHttp().getRequest<FastifyRequest>();

/** Who calls: `handler(@Caller() caller: Principal)`, on routes whose policy wants a scope. */
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

/** Who calls, on routes that admit persons alone; `Policy` refuses it on any other. */
export const CallerPerson = createParamDecorator(callingPerson);

/** Whether a handler's input, as Nest keeps it, is a `@CallerPerson()`. */
export const takesPerson = (input: object): boolean => 'factory' in input && input.factory === callingPerson;

const refusals = new WeakMap<object, unknown>();

/** Remembers why the Authorization header of a request does not hold, for a route that may do without it. */
export function setRefusal(request: FastifyRequest, refusal: unknown): void {
  refusals.set(request.raw, refusal);
}

/** Who calls, on routes with `access: 'optional'`. Asked only where the body proves nobody: a token that does not hold throws then. */
export type AskedCaller = () => Person | undefined;

export const OptionalCaller = createParamDecorator((_: unknown, context: ExecutionContext): AskedCaller => {
  const request = requestOf(context);
  return () => {
    if (refusals.has(request.raw)) throw refusals.get(request.raw);
    const principal = principalOf(request);
    return principal?.kind === 'person' ? principal : undefined;
  };
});

/** The client's address, by TRUSTED_PROXIES. */
export const ClientAddress = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => requestOf(context).ip,
);
