import pino from 'pino';
import { currentRequestId } from './request-context';

// A safety net: Coffer logs none of these on purpose. Only fixed paths, because a wildcard costs 10
// us a line.
const SENSITIVE = [
  'authorization',
  'cookie',
  'password',
  'otp',
  'token',
  'access_token',
  'refresh_token',
  'mfa_token',
  'secret',
  'value',
  'body',
  'query',
  'url',
];

const SENSITIVE_HEADERS = ['headers', 'req.headers', 'request.headers', 'req.body', 'req.url', 'req.query'];

export interface LoggerOptions {
  readonly level: string;
  /** Destination of the lines; stdout by default. */
  readonly destination?: pino.DestinationStream;
}

/** Creates a logger of JSON lines with time, level and request id. */
export function createLogger({ level, destination }: LoggerOptions): pino.Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: requestFields,
    redact: { paths: [...SENSITIVE, ...SENSITIVE_HEADERS], censor: '[redacted]' },
    serializers: { err: described, error: described },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

const described = (error: unknown): ErrorDescription => describeError(error);

function requestFields(): object {
  const requestId = currentRequestId();
  return requestId === undefined ? {} : { request_id: requestId };
}

export interface ErrorDescription {
  readonly name: string;
  readonly code?: string;
  readonly message?: string;
  readonly stack?: readonly string[];
  readonly cause?: ErrorDescription;
}

// Errors whose messages are written by Coffer or Node. The message of a driver or parser may quote
// a document.
const SPEAKING = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'AssertionError',
  'DomainError',
  'StartupError',
]);
const MAX_CAUSES = 3;

/**
 * Describes an error for the log: name, code, stack, and the message only if it cannot contain a
 * stored value.
 */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (typeof error !== 'object' || error === null) return { name: typeof error };
  const { name, code, message, stack, cause } = error as Record<string, unknown>;
  const kind = typeof name === 'string' ? name : 'Error';
  return {
    name: kind,
    ...((typeof code === 'string' || typeof code === 'number') && { code: String(code) }),
    ...(typeof message === 'string' && SPEAKING.has(kind) && { message: message.slice(0, 300) }),
    ...(typeof stack === 'string' && { stack: frames(stack) }),
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: describeError(cause, depth + 1) }),
  };
}

const frames = (stack: string): readonly string[] =>
  stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim())
    .slice(0, 12);
