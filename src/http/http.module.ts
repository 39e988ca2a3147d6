import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE, HttpAdapterHost } from '@nestjs/core';
import { DocsController } from './docs.controller';
import { InFlight } from './drain';
import { RequestGuard } from './request-guard';
import { Idempotency } from './idempotency';
import { Lifecycle } from './lifecycle';
import { OpenApi } from './openapi/openapi';
import { ResponsesUserData } from './responses-user-data';
import { Paging } from './paging';
import { ProblemFilter } from './problem.filter';
import { RateLimits } from './rate-limits';
import { RouteTable } from './route-table';
import { routesOf } from './server';
import { InputPipe } from './validation';

/** The table that the server adapter fills. */
const routeTable = {
  provide: RouteTable,
  inject: [HttpAdapterHost],
  useFactory: (host: HttpAdapterHost): RouteTable => routesOf(host.httpAdapter),
};

@Global()
@Module({
  controllers: [DocsController],
  providers: [
    routeTable,
    RequestGuard,
    Idempotency,
    InFlight,
    Lifecycle,
    OpenApi,
    ResponsesUserData,
    Paging,
    RateLimits,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_PIPE, useClass: InputPipe },
  ],
  exports: [Idempotency, InFlight, Lifecycle, OpenApi, ResponsesUserData, Paging, RouteTable],
})
export class HttpModule {}
