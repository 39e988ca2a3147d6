import { FastifyAdapter } from '@nestjs/platform-fastify';
import { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { IncomingMessage, Server } from 'node:http';
import { Duplex } from 'node:stream';
import { HttpConfig } from '../config/config';
import { SECOND, newId } from '../kernel';
import { answerBrokenRequest } from './broken-request';
import { boundConnections } from './connections';
import { heedExpectations } from './expectation';
import { Networks } from './networks';
import { sendProblem } from './problem.filter';
import { toDomainError } from './refusal';
import { RouteTable } from './route-table';
import { SECURITY_HEADERS } from './security-headers';

const SANE_REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
// The longest file name, 255 bytes, with each byte percent-encoded.
const MAX_PARAM_CHARS = 3 * 255;

/**
 * A page with a slash after its path, which Nest cannot register. It is the index of the page's
 * files.
 */
const PAGE_FOLDER = /^(\/(?:docs|l))\/(?=$|\?)/;

export interface ServerLimits {
  readonly headersTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

const LIMITS: ServerLimits = { headersTimeoutMs: 10 * SECOND, idleTimeoutMs: 120 * SECOND };

/**
 * Creates the Fastify server of Nest. There is no time limit on a whole request, because an upload
 * may take hours. Headers have 10 s, JSON bodies 30 s (body.ts); an idle connection is closed after
 * 2 minutes.
 */
export function createServerAdapter(http: HttpConfig, limits: ServerLimits = LIMITS): FastifyAdapter {
  const routes = new RouteTable();
  const adapter = new FastifyAdapter({
    http: {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: 0,
      // Node would send its own response; the request guard rejects a request without Host in
      // Coffer's form.
      requireHostHeader: false,
      // How often Node checks the timeouts above; its default is 30 s.
      connectionsCheckingInterval: Math.min(SECOND, limits.headersTimeoutMs / 2),
    },
    requestTimeout: 0,
    connectionTimeout: limits.idleTimeoutMs,
    keepAliveTimeout: 65 * SECOND,
    maxRequestsPerSocket: 10_000,
    return503OnClosing: false,
    skipMiddie: true,
    trustProxy: http.trustedProxies.length === 0 ? false : [...http.trustedProxies],
    rewriteUrl: ({ url = '/' }) => url.replace(PAGE_FOLDER, '$1/index.html'),
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    genReqId: requestId,
    frameworkErrors: answerFrameworkError as unknown as NonNullable<FastifyServerOptions['frameworkErrors']>,
    clientErrorHandler: (error: Error, socket: Duplex) => answerBrokenRequest(error, socket, routes),
  });
  const fastify = adapter.getInstance();
  fastify.addHook('onRoute', (route) => routes.register(route));
  tame(fastify.server, routes);
  const exempt = new Networks([...http.trustedProxies, ...http.rateLimitExempt]);
  boundConnections(fastify.server, { ...http.connections, exempt });
  tables.set(adapter, routes);
  return adapter;
}

const tables = new WeakMap<object, RouteTable>();

/** The routes of a server created by `createServerAdapter`. */
export function routesOf(adapter: object): RouteTable {
  const routes = tables.get(adapter);
  if (routes === undefined) throw new TypeError('not an adapter of createServerAdapter');
  return routes;
}

function requestId({ headers }: { headers: IncomingMessage['headers'] }): string {
  const sent = headers['x-request-id'];
  return typeof sent === 'string' && SANE_REQUEST_ID.test(sent) ? sent : newId();
}

/**
 * Errors that Fastify raises before any hook runs, such as a malformed URL; sets the headers that
 * hooks would have set.
 */
function answerFrameworkError(error: Error, request: FastifyRequest, reply: FastifyReply): void {
  void reply.headers({ ...SECURITY_HEADERS, 'x-request-id': request.id });
  sendProblem(toDomainError(error), request, reply);
}

function tame(server: Server, routes: RouteTable): void {
  heedExpectations(server);
  // Coffer is not a proxy. Without a listener the connection would be dropped without a response.
  server.on('connect', (_request, socket) => {
    answerBrokenRequest(Object.assign(new Error('CONNECT'), { code: 'CONNECT' }), socket, routes);
  });
}
