import { Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR, APP_PIPE, HttpAdapterHost } from '@nestjs/core';
import { DocsController } from './docs.controller';
import { Gate } from './gate';
import { Idempotency } from './idempotency';
import { Lifecycle } from './lifecycle';
import { OpenApi } from './openapi/openapi';
import { OwnedAnswers } from './owned-answers';
import { Paging } from './paging';
import { ProblemFilter } from './problem.filter';
import { RateLimits } from './rate-limits';
import { RereadInterceptor } from './reread.interceptor';
import { RouteTable } from './route-table';
import { routesOf } from './server';
import { InputPipe } from './validation';

/** The table that the server fills. */
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
    Gate,
    Idempotency,
    Lifecycle,
    OpenApi,
    OwnedAnswers,
    Paging,
    RateLimits,
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_INTERCEPTOR, useClass: RereadInterceptor },
    { provide: APP_PIPE, useClass: InputPipe },
  ],
  exports: [Idempotency, Lifecycle, OpenApi, OwnedAnswers, Paging, RouteTable],
})
export class HttpModule {}
