import { ErrorCode } from '../../kernel';
import { ProblemResponse, problemResponse } from '../api-problems';
import { RoutePolicy, principalsOf } from '../route-policy';
import { CODES } from '../problem';
import { Operation } from './document';

export const BEARER = 'bearer';

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Makes a repeated call safe for 24 hours: it gets the first answer and does nothing. A new value for each act.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
} as const;

/** Statuses that tus itself returns on all its routes except OPTIONS. */
const TUS_STATUSES = [400, 401, 412, 500, 503];

/**
 * Adds the requirements of a route's policy: the permitted callers, and the errors that do not
 * depend on the handler.
 */
export function addPolicy(operation: Operation, policy: RoutePolicy, path: string): void {
  operation.security = securityOf(policy) ?? otherTokens(operation);
  mark(operation, policy);
  if (policy.idempotent !== undefined) operation.parameters = [...(operation.parameters ?? []), IDEMPOTENCY_KEY];
  if (policy.errors === 'tus') {
    for (const status of policy.access === 'public' ? [] : TUS_STATUSES) operation.responses[status] ??= tusRefusal();
    operation.responses[CODES.headers_too_large.status] ??= problemResponse(['headers_too_large']);
    operation.responses['default'] = tusRefusal();
    return;
  }
  const always = codesOf(policy, path, operation.requestBody !== undefined);
  for (const status of new Set(always.map((code) => CODES[code].status))) {
    operation.responses[status] = mergeCodes(operation.responses[status], always, status);
  }
  operation.responses['default'] ??= { $ref: '#/components/responses/Problem' };
}

export const tusRefusal = () => ({
  description: 'A refusal of tus: its status, and a line of text',
  content: { 'text/plain': { schema: { type: 'string' } } },
});

/** In the title, which the list of routes shows. */
function mark(operation: Operation, { scope, stepUp }: RoutePolicy): void {
  const marks = [scope === 'administration' && '(administrator)', stepUp === true && '⚡'].filter(Boolean);
  operation.summary = [operation.summary, ...marks].join(' ');
  if (stepUp !== true) return;
  const note = '⚡ Needs a login or `POST /step-up` within the last 5 minutes.';
  operation.description = [operation.description, note].filter(Boolean).join('\n\n');
}

/**
 * A public route may require another kind of token, such as a ticket; its decorators declare it.
 */
const otherTokens = ({ security = [] }: Operation) => security.filter((scheme) => !(BEARER in scheme));

function securityOf(policy: RoutePolicy): Record<string, string[]>[] | undefined {
  if (policy.access === 'public') return undefined;
  if (policy.access === 'optional') return [{}, { [BEARER]: [] }];
  return [{ [BEARER]: [] }, ...(principalsOf(policy).includes('link-holder') ? [{ ticket: [] }] : [])];
}

/** The errors that follow from a route's policy alone. */
function codesOf(policy: RoutePolicy, path: string, hasBody: boolean): ErrorCode[] {
  const signedIn = policy.access !== 'public';
  const codes: (ErrorCode | false)[] = [
    'validation_failed',
    'headers_too_large',
    hasBody && 'invalid_json',
    hasBody && 'too_large',
    hasBody && 'unsupported_media_type',
    hasBody && 'request_timeout',
    signedIn && 'unauthenticated',
    signedIn && 'token_expired',
    signedIn && 'invalid_session',
    policy.stepUp === true && 'step_up_required',
    policy.scope === 'administration' && 'permission_denied',
    policy.scope !== undefined && 'insufficient_scope',
    path.includes(':') && 'not_found',
    policy.idempotent !== undefined && 'idempotency_running',
    policy.idempotent !== undefined && 'idempotency_mismatch',
    (policy.rateLimit ?? policy.costly) !== undefined && 'rate_limited',
    'internal',
    policy.always !== true && 'store_unavailable',
    policy.always !== true && 'kms_unavailable',
    policy.always !== true && 'audit_unavailable',
    policy.always !== true && 'shutting_down',
  ];
  return codes.filter((code): code is ErrorCode => code !== false);
}

/** Merges the codes of the handler (ApiProblems) and of the policy under one status. */
function mergeCodes(declared: object | undefined, codes: readonly ErrorCode[], status: number): ProblemResponse {
  const examples = (declared as { content?: Record<string, { examples?: object }> } | undefined)?.content;
  const known = Object.keys(examples?.['application/problem+json']?.examples ?? {}) as ErrorCode[];
  const added = codes.filter((code) => CODES[code].status === status && !known.includes(code));
  return problemResponse([...known, ...added]);
}
