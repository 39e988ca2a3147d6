import pino from 'pino';
import { currentRequestId } from './request-context';

// Nothing of Coffer logs these on purpose: this is the net below the rope. Named paths only: a wildcard makes each line cost 10 us.
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
  /** Where the lines go; stdout where nothing is given. */
  readonly destination?: pino.DestinationStream;
}

/** JSON lines with time, level, and the id of the request that caused them. */
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

// Whose messages are written by us or by Node. A driver's or a parser's may quote the document that it failed on.
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

/** What a log may say about an error: name, code, where it happened, and a message only where no value can be in it. */
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
