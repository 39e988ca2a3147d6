import { FastifyRequest } from 'fastify';
import { DomainError } from '../kernel';
import { RouteRules, rulesOf } from './route-config';
import { MAX_FAULTS, invalid, unknownMember } from './validation';

/**
 * The pipe validates what a handler declares. This refuses what it does not declare: a body or a query parameter sent to a route
 * that has none would otherwise be passed over in silence. An empty body, or `{}`, is none.
 */
export function checkUndeclaredInput(request: FastifyRequest): void {
  const rules = rulesOf(request.routeOptions.config);
  if (rules === undefined) return;
  checkUndeclaredIfMatch(request, rules);
  checkUndeclaredKey(request, rules);
  const faults = [
    ...(rules.takesQuery || rules.policy.page === true
      ? []
      : namesOf(request.query).map((name) => unknownMember(name, 'query'))),
    ...(rules.takesBody ? [] : namesOf(request.body).map((name) => unknownMember(name))),
  ];
  if (faults.length > 0) throw invalid(faults);
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What has no ETag matches none (RFC 9110, 13.1.1): a client that wants its change guarded is not left to believe that it is. */
function checkUndeclaredIfMatch({ method, headers }: FastifyRequest, { takesIfMatch }: RouteRules): void {
  const header = headers['if-match'];
  if (takesIfMatch || SAFE.has(method) || header === undefined || header.trim() === '*') return;
  throw new DomainError('precondition_failed', {
    detail: 'This resource has no ETag, so If-Match cannot match.',
  });
}

/** A repeated upload would store a second file, or be refused for its name, where the client counts on its first answer. */
function checkUndeclaredKey({ method, headers }: FastifyRequest, { policy }: RouteRules): void {
  if (!['POST', 'PUT'].includes(method) || policy.body !== 'stream' || headers['idempotency-key'] === undefined) return;
  const message = 'is not heeded for an upload: send it without, and look for the file by its name before a repeat';
  throw invalid([{ pointer: '/idempotency-key', in: 'header', message }]);
}

const namesOf = (input: unknown): string[] => Object.keys(input ?? {}).slice(0, MAX_FAULTS);
