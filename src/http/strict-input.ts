import { FastifyRequest } from 'fastify';
import { rulesOf } from './route-config';
import { MAX_FAULTS, invalid, unknownMember } from './validation';

/**
 * The pipe validates what a handler declares. This refuses what it does not declare: a body or a query parameter sent to a route
 * that has none would otherwise be passed over in silence. An empty body, or `{}`, is none.
 */
export function checkUndeclaredInput(request: FastifyRequest): void {
  const rules = rulesOf(request.routeOptions.config);
  if (rules === undefined) return;
  const faults = [
    ...(rules.takesQuery ? [] : namesOf(request.query).map((name) => unknownMember(name, 'query'))),
    ...(rules.takesBody ? [] : namesOf(request.body).map((name) => unknownMember(name))),
  ];
  if (faults.length > 0) throw invalid(faults);
}

const namesOf = (input: unknown): string[] => Object.keys(input ?? {}).slice(0, MAX_FAULTS);
