import { NestFastifyApplication } from '@nestjs/platform-fastify';
import { FastifyInstance, FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { CONFIG, Config } from '../config/config';
import { Metrics } from '../observability';
import { installBodyParsers } from './body';
import { BodyMemory } from './body-memory';
import { InFlight } from './drain';
import { RequestGuard } from './request-guard';
import { Lifecycle } from './lifecycle';
import { OpenApi } from './openapi/openapi';
import { RequestHooks, installRequestHooks } from './request-hooks';

export interface HttpTuning {
  /** Time limit for a JSON body to arrive. */
  readonly bodyTimeoutMs?: number;
  /** After this time, and each further such time, the body must have kept the minimum rate. */
  readonly bodyGraceMs?: number;
}

/**
 * Installs the rules of http/ on an application with an adapter of `createServerAdapter`. Call it
 * before `init`: routes registered earlier would have no request guard.
 */
export function installHttp(app: NestFastifyApplication, tuning: HttpTuning = {}): void {
  const fastify = app.getHttpAdapter().getInstance();
  const hooks: RequestHooks = {
    http: app.get<Config>(CONFIG).http,
    gate: app.get(RequestGuard),
    lifecycle: app.get(Lifecycle),
    metrics: app.get(Metrics),
  };
  const addressOf = (request: FastifyRequest) => hooks.gate.requesterOf(request).address;
  app.get(InFlight).countHandlers(fastify);
  installBodyParsers(fastify, { ...tuning, memory: new BodyMemory(hooks.http.bodyMemory), addressOf });
  // One plugin, so that the hooks of helmet and cors keep their order; in the root context, so that
  // they apply to every route.
  void fastify.register(fastifyPlugin((instance: FastifyInstance) => installRequestHooks(instance, hooks)));
  app.get(OpenApi).describe(app);
}
