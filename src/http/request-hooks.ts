import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import { Logger } from '@nestjs/common';
import { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HttpConfig } from '../config/config';
import { SECOND, runFor } from '../kernel';
import { Metrics, RequestContext, runInRequest } from '../observability';
import { principalOf } from './caller';
import { shownAddress } from './client-address';
import { RequestGuard } from './request-guard';
import { Lifecycle } from './lifecycle';
import { refusalOf } from './problem.filter';
import { placeLocations } from './public-path';
import { HELMET } from './security-headers';
import { checkUndeclaredInput } from './strict-input';

export interface RequestHooks {
  readonly http: HttpConfig;
  readonly gate: RequestGuard;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
}

const REFUSED = 400;
const LINGER = 5 * SECOND;
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const EXPOSED = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-range',
  'etag',
  'file-id',
  'link',
  'location',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'tus-checksum-algorithm',
  'tus-extension',
  'tus-max-size',
  'tus-resumable',
  'tus-version',
  'upload-expires',
  'upload-length',
  'upload-metadata',
  'upload-offset',
  'www-authenticate',
  'x-request-id',
];

/**
 * The hooks of every request, in this order: context and headers first, so that errors have them
 * too; the request guard last.
 */
export async function installRequestHooks(fastify: FastifyInstance, hooks: RequestHooks): Promise<void> {
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
    if (hooks.lifecycle.stopping) void reply.header('connection', 'close');
    runInRequest(contextOf(request, hooks.http), done);
  });
  await fastify.register(helmet, HELMET);
  if (hooks.http.corsOrigins.length > 0) await allowOrigins(fastify, hooks.http.corsOrigins);
  fastify.addHook('onRequest', (request, reply) => hooks.gate.authorize(request, reply));
  // A body arrives in socket events, outside the context in which the request began.
  fastify.addHook('preValidation', (request, _reply, done) => {
    runInRequest(contextOf(request, hooks.http), () => runFor(hooks.gate.requesterOf(request), done));
  });
  fastify.addHook('preHandler', (request, _reply, done) => {
    checkUndeclaredInput(request);
    done();
  });
  placeLocations(fastify, hooks.http);
  fastify.addHook('onResponse', (request, reply, done) => {
    report(request, reply, hooks);
    closeUnread(request);
    done();
  });
}

async function allowOrigins(fastify: FastifyInstance, origins: readonly string[]): Promise<void> {
  await fastify.register(cors, {
    delegator: (request, callback) => {
      const preflight = request.headers['access-control-request-method'] !== undefined;
      callback(null, {
        origin: [...origins],
        preflight,
        strictPreflight: false,
        methods: [...KNOWN_METHODS],
        exposedHeaders: EXPOSED,
        maxAge: 600,
      });
    },
  });
}

const logger = new Logger('http');

/**
 * Writes one log line and one metric for a request, with the route template and never the URL,
 * which holds ids, names and query values.
 */
function report(request: FastifyRequest, reply: FastifyReply, { http, metrics }: RequestHooks): void {
  const route = request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');
  const method = KNOWN_METHODS.has(request.method) ? request.method : 'other';
  const ms = Math.round(reply.elapsedTime * 10) / 10;
  metrics.observeHttp(method, route, reply.statusCode, reply.elapsedTime / SECOND);
  const status = reply.statusCode;
  const code = refusalOf(request);
  if (code !== undefined) metrics.refusals.count(code);
  const who = status >= REFUSED ? clientOf(request, http) : {};
  logger.log({ request_id: request.id, method, route, status, ms, ...who, msg: 'request' });
}

/**
 * The client of a rejected request: its address and the id of the account that it acted for or
 * tried to. Never a name.
 */
function clientOf(request: FastifyRequest, http: HttpConfig): { address?: string; user_id?: string } {
  const { address, userId = principalOf(request)?.ownerId } = contextOf(request, http);
  return { ...(address !== undefined && { address }), ...(userId !== undefined && { user_id: userId }) };
}

const contexts = new WeakMap<object, RequestContext>();

/** One context for all hooks of a request. */
function contextOf(request: FastifyRequest, { logAddresses }: HttpConfig): RequestContext {
  const found = contexts.get(request.raw);
  if (found !== undefined) return found;
  const address = shownAddress(request.ip, logAddresses);
  const context: RequestContext = { requestId: request.id, ...(address !== undefined && { address }) };
  contexts.set(request.raw, context);
  return context;
}

/**
 * For a response sent before the body was complete: Node would continue to read, up to the last
 * byte of a rejected upload. The client gets a moment to read the response, then the connection is
 * closed.
 */
function closeUnread({ raw }: FastifyRequest): void {
  if (raw.complete) return;
  setTimeout(() => {
    if (!raw.complete) raw.socket.destroy();
  }, LINGER).unref();
}
