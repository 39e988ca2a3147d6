import { FastifyRequest } from 'fastify';
import { DomainError } from '../kernel';
import { RouteRules, rulesOf } from './route-policy';
import { MAX_FAULTS, invalid, unknownMember } from './validation';

/**
 * Rejects undeclared input: without this check, a body or query parameter sent to a route without
 * one would be ignored silently. An empty body or `{}` is allowed.
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

/**
 * A resource without an ETag matches no If-Match (RFC 9110, 13.1.1); ignoring the header would
 * suggest a protected change.
 */
function checkUndeclaredIfMatch({ method, headers }: FastifyRequest, { takesIfMatch }: RouteRules): void {
  const header = headers['if-match'];
  if (takesIfMatch || SAFE.has(method) || header === undefined || header.trim() === '*') return;
  throw new DomainError('precondition_failed', {
    detail: 'This resource has no ETag, so If-Match cannot match.',
  });
}

/**
 * A repeated upload would store a second file or fail because of its name, while the client expects
 * the first response.
 */
function checkUndeclaredKey({ method, headers }: FastifyRequest, { policy }: RouteRules): void {
  if (!['POST', 'PUT'].includes(method) || policy.body !== 'stream' || headers['idempotency-key'] === undefined) return;
  const message = 'is not heeded for an upload: send it without, and look for the file by its name before a repeat';
  throw invalid([{ pointer: '/idempotency-key', in: 'header', message }]);
}

const namesOf = (input: unknown): string[] => Object.keys(input ?? {}).slice(0, MAX_FAULTS);
