import { FastifyInstance, FastifyRequest } from 'fastify';
import { IncomingMessage } from 'node:http';
import { DomainError, SECOND } from '../kernel';
import { BodyMemory } from './body-memory';
import { readBody } from './read-body';
import { RoutePolicy, policyOf } from './route-policy';
import { parseStrictJson } from './strict-json';

export const JSON_LIMIT = 1024 * 1024;
/** For requests without a scope: these routes accept only names, passwords and codes. */
export const PUBLIC_JSON_LIMIT = 16 * 1024;
const BODY_TIMEOUT = 30 * SECOND;
const BODY_GRACE = 5 * SECOND;

export interface BodyReading {
  readonly memory: BodyMemory;
  /** The address whose memory share a body uses; undefined for an exempt backend. */
  readonly addressOf: (request: FastifyRequest) => string | undefined;
  readonly bodyTimeoutMs?: number;
  readonly bodyGraceMs?: number;
}

/**
 * Replaces Fastify's body parsers. JSON is parsed strictly, with limits of size and time.
 * Other content types are passed unread to routes with `body: 'stream'`, which read `request.raw`
 * themselves, and rejected elsewhere.
 */
export function installBodyParsers(fastify: FastifyInstance, reading: BodyReading): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', (request: FastifyRequest, payload: IncomingMessage) =>
    readJson(request, payload, reading),
  );
  fastify.addContentTypeParser('*', (request: FastifyRequest) => passThrough(request));
}

function passThrough(request: FastifyRequest): Promise<undefined> {
  // Many clients send a content type without a body.
  const empty = request.headers['content-length'] === '0';
  if (empty || policyOf(request.routeOptions.config)?.body === 'stream') return Promise.resolve(undefined);
  return Promise.reject(unsupported('Send the body as application/json.'));
}

async function readJson(request: FastifyRequest, payload: IncomingMessage, reading: BodyReading): Promise<unknown> {
  const limit = limitOf(policyOf(request.routeOptions.config));
  if (limit === 'stream') return undefined;
  checkEncoding(request);
  const { memory, bodyTimeoutMs: timeoutMs = BODY_TIMEOUT, bodyGraceMs: graceMs = BODY_GRACE } = reading;
  const bytes = await readBody(payload, { limit, timeoutMs, graceMs, memory, address: reading.addressOf(request) });
  if (bytes.length === 0) return undefined;
  const value = parseStrictJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DomainError('validation_failed', { fields: [{ pointer: '', message: 'must be a JSON object' }] });
  }
  return value;
}

function limitOf(policy: RoutePolicy | undefined): number | 'stream' {
  if (policy?.body !== undefined) return policy.body;
  return policy?.scope === undefined ? PUBLIC_JSON_LIMIT : JSON_LIMIT;
}

function checkEncoding(request: FastifyRequest): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) throw unsupported('JSON is UTF-8.');
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw unsupported('Send the body without a content encoding.');
}

const unsupported = (detail: string): DomainError => new DomainError('unsupported_media_type', { detail });
