import { FastifyInstance, FastifyRequest } from 'fastify';
import { IncomingMessage } from 'node:http';
import { DomainError, SECOND } from '../kernel';
import { RoutePolicy } from './policy';
import { policyOf } from './route-config';
import { parseStrictJson } from './strict-json';

export const JSON_LIMIT = 1024 * 1024;
/** For whoever has not shown an access token: no such route takes more than names, passwords and codes. */
export const PUBLIC_JSON_LIMIT = 16 * 1024;
const BODY_TIMEOUT = 30 * SECOND;

/**
 * Takes the reading of bodies over from Fastify: JSON strictly, within a size and a time; all else is passed through unread to routes
 * with `body: 'stream'`, which read `request.raw` themselves, and refused elsewhere.
 */
export function installBodyParsers(fastify: FastifyInstance, timeoutMs = BODY_TIMEOUT): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', (request: FastifyRequest, payload: IncomingMessage) =>
    readJson(request, payload, timeoutMs),
  );
  fastify.addContentTypeParser('*', (request: FastifyRequest) => passThrough(request));
}

function passThrough(request: FastifyRequest): Promise<undefined> {
  // Many clients name a type for a body that they do not send.
  const empty = request.headers['content-length'] === '0';
  if (empty || policyOf(request.routeOptions.config)?.body === 'stream') return Promise.resolve(undefined);
  return Promise.reject(unsupported('Send the body as application/json.'));
}

async function readJson(request: FastifyRequest, payload: IncomingMessage, timeoutMs: number): Promise<unknown> {
  const limit = limitOf(policyOf(request.routeOptions.config));
  if (limit === 'stream') return undefined;
  checkEncoding(request);
  const bytes = await readBody(payload, limit, timeoutMs);
  if (bytes.length === 0) return undefined;
  const value = parseStrictJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DomainError('validation_failed', { fields: [{ pointer: '', message: 'must be a JSON object' }] });
  }
  return value;
}

function limitOf(policy: RoutePolicy | undefined): number | 'stream' {
  if (policy?.body !== undefined) return policy.body;
  const isSignedIn = policy?.access === 'user' || policy?.access === 'administrator';
  return isSignedIn ? JSON_LIMIT : PUBLIC_JSON_LIMIT;
}

function checkEncoding(request: FastifyRequest): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) throw unsupported('JSON is UTF-8.');
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw unsupported('Send the body without a content encoding.');
}

const unsupported = (detail: string): DomainError => new DomainError('unsupported_media_type', { detail });

/** All bytes of a body. @throws DomainError `too_large`, `request_timeout` */
function readBody(payload: IncomingMessage, limit: number, timeoutMs: number): Promise<Buffer> {
  const declared = Number(payload.headers['content-length'] ?? 0);
  if (declared > limit) throw tooLarge(limit);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      payload.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limit) finish(() => reject(tooLarge(limit)));
    };
    const onEnd = (): void => finish(() => resolve(Buffer.concat(chunks)));
    // The sender is gone: nobody reads what this is answered with.
    const onBroken = (): void => finish(() => reject(new DomainError('request_timeout')));
    const timer = setTimeout(() => finish(() => reject(new DomainError('request_timeout'))), timeoutMs);
    payload.on('data', onData).once('end', onEnd).once('error', onBroken).once('close', onBroken);
  });
}

const tooLarge = (limit: number): DomainError =>
  new DomainError('too_large', { detail: `The body may have ${limit} bytes at most.` });
