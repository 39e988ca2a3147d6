import { Controller, Get, Headers, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { CONFIG, Config } from '../config';
import { ApiProblems, Policy, requireToken } from '../http';
import { DomainError } from '../kernel';
import { Metrics } from '../observability';

@ApiTags('Operation')
@Controller()
export class MetricsController {
  constructor(
    private readonly metrics: Metrics,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Metrics in the Prometheus format. Requires METRICS_TOKEN as the bearer token if it is set;
   * without METRICS_TOKEN, production answers 404.
   */
  @Get('metrics')
  @Policy({ access: 'public', always: true })
  @ApiProduces('text/plain')
  @ApiOkResponse({ content: { 'text/plain': { schema: { type: 'string' } } } })
  @ApiProblems('unauthenticated', 'not_found')
  async getMetrics(
    @Headers('authorization') authorization: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    this.#checkToken(authorization);
    void reply.type(this.metrics.registry.contentType).send(await this.metrics.registry.metrics());
  }

  #checkToken(authorization: string | undefined): void {
    const { metricsToken, production } = this.config;
    if (metricsToken !== undefined) requireToken(authorization, metricsToken);
    else if (production) throw new DomainError('not_found', { detail: 'There is nothing at this path.' });
  }
}
