import { DomainError, SECOND, STEP_UP_MS } from '../kernel';
import { CODES, PROBLEM_TYPE } from './problem';
import { HttpError } from './refusal';

const REALM = 'Bearer realm="coffer"';
const RETRY_SECONDS = 5;

/** The headers of a problem, in addition to those of every response. */
export function problemHeaders(error: DomainError): Record<string, string> {
  const { status } = CODES[error.code];
  return {
    'content-type': PROBLEM_TYPE,
    ...challenge(error, status),
    ...(status === 429 && quota(error)),
    ...(status === 503 && { 'retry-after': seconds(error) }),
    ...(error.code === 'idempotency_running' && { 'retry-after': seconds(error) }),
    ...(error instanceof HttpError && error.headers),
  };
}

/**
 * RFC 6750, section 3: no `error` without a token. RFC 9470, section 3, for a login that is too
 * old.
 */
function challenge({ code }: DomainError, status: number): Record<string, string> {
  if (code === 'step_up_required') {
    const why =
      'error="insufficient_user_authentication", error_description="A login within the last 5 minutes is required"';
    return { 'www-authenticate': `${REALM}, ${why}, max_age=${STEP_UP_MS / SECOND}` };
  }
  if (code === 'token_expired') return invalidToken('The access token has expired');
  if (code === 'invalid_session') return invalidToken('The session has ended');
  if (code === 'insufficient_scope') return { 'www-authenticate': `${REALM}, error="insufficient_scope"` };
  return status === 401 ? { 'www-authenticate': REALM } : {};
}

const invalidToken = (why: string): Record<string, string> => ({
  'www-authenticate': `${REALM}, error="invalid_token", error_description="${why}"`,
});

/**
 * draft-ietf-httpapi-ratelimit-headers. For limits of features (lockout, codes) the values reveal
 * no more than Retry-After: their counters are confidential before the login.
 */
function quota(error: DomainError): Record<string, string> {
  const wait = seconds(error);
  return {
    'retry-after': wait,
    'ratelimit-policy': `"${error.code}";q=1;w=${wait}`,
    ratelimit: `"${error.code}";r=0;t=${wait}`,
  };
}

const seconds = (error: DomainError): string =>
  String(Math.max(1, Math.ceil(error.retryAfterSeconds ?? RETRY_SECONDS)));
