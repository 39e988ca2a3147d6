import { CallHandler, ExecutionContext, Injectable, NestInterceptor } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum';
import { FastifyRequest } from 'fastify';
import { Observable } from 'rxjs';
import { invalid, unknownMember } from './validation';

interface Takes {
  readonly body: boolean;
  readonly query: boolean;
}

/**
 * The pipe validates what a handler declares. This refuses what it does not declare: a body or a query parameter sent to a route
 * that has none would otherwise be passed over in silence. An empty body, or `{}`, is none.
 */
@Injectable()
export class StrictInputInterceptor implements NestInterceptor {
  readonly #known = new WeakMap<object, Takes>();

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const takes = this.takes(context);
    const faults = [
      ...(takes.query ? [] : Object.keys(request.query ?? {}).map((name) => unknownMember(name, 'query'))),
      ...(takes.body ? [] : Object.keys(request.body ?? {}).map((name) => unknownMember(name))),
    ];
    if (faults.length > 0) throw invalid(faults);
    return next.handle();
  }

  private takes(context: ExecutionContext): Takes {
    const handler = context.getHandler();
    const known = this.#known.get(handler);
    if (known !== undefined) return known;
    const declared: unknown = Reflect.getMetadata(ROUTE_ARGS_METADATA, context.getClass(), handler.name);
    const kinds = Object.keys(declared ?? {}).map((key) => Number(key.split(':')[0]));
    const takes = { body: kinds.includes(RouteParamtypes.BODY), query: kinds.includes(RouteParamtypes.QUERY) };
    this.#known.set(handler, takes);
    return takes;
  }
}
