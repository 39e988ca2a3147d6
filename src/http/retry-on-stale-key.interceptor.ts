import { CallHandler, ExecutionContext, Injectable, NestInterceptor } from '@nestjs/common';
import { FastifyReply, FastifyRequest } from 'fastify';
import { Observable, retry, throwError, timer } from 'rxjs';
import { StaleKeyVersionError } from '../kernel';

const TRIES = 3;
const PAUSE_MS = 5;

/**
 * A read that holds a row from before the end of a rotation of the owner's key cannot open it afterwards. The row is a newer one then:
 * a GET is run again. What fails each time is a damaged value, and is told as such.
 */
@Injectable()
export class RetryOnStaleKeyInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method } = context.switchToHttp().getRequest<FastifyRequest>();
    if (method !== 'GET' && method !== 'HEAD') return next.handle();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const again = (error: unknown): Observable<unknown> =>
      error instanceof StaleKeyVersionError && !reply.sent ? timer(PAUSE_MS) : throwError(() => error);
    return next.handle().pipe(retry({ count: TRIES, delay: again }));
  }
}
