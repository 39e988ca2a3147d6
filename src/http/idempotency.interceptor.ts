import { CallHandler, ExecutionContext, Injectable, Logger, NestInterceptor } from '@nestjs/common';
import { FastifyReply, FastifyRequest } from 'fastify';
import { Observable, from, lastValueFrom } from 'rxjs';
import { Principal } from '../kernel';
import { principalOf } from './caller';
import { Idempotency, KeptResponse, KeyedRequest } from './idempotency';
import { IdempotencyKeyDoc } from './idempotency-keys.collection';
import { RoutePolicy, policyOf } from './route-policy';
import { pathOf } from './route-table';
import { invalid } from './validation';

const REPLAYED_HEADERS = ['location', 'etag'];
// A structured-field string (RFC 8941), or the bare key that most clients send.
const QUOTED = /^"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"$/;
const BARE = /^[\x21\x23-\x5b\x5d-\x7e]{1,255}$/;

@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  readonly #logger = new Logger('http');

  constructor(private readonly idempotency: Idempotency) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const policy = policyOf(request.routeOptions.config);
    const keyed = policy?.idempotent === undefined ? undefined : keyedRequest(request, principalOf(request));
    if (policy === undefined || keyed === undefined) return next.handle();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return from(this.#once(keyed, policy, reply, () => lastValueFrom(next.handle(), { defaultValue: undefined })));
  }

  async #once(
    keyed: KeyedRequest,
    policy: RoutePolicy,
    reply: FastifyReply,
    run: () => Promise<unknown>,
  ): Promise<unknown> {
    const claim = await this.idempotency.claim(keyed);
    if (claim.kind === 'replay') return replay(claim.answer, reply);
    const body = await run().catch(async (error: unknown) => {
      await this.#quietly(this.idempotency.release(claim.row));
      throw error;
    });
    await this.#quietly(this.#keep(claim.row, policy, reply, body));
    return body;
  }

  async #keep(row: IdempotencyKeyDoc, policy: RoutePolicy, reply: FastifyReply, body: unknown): Promise<void> {
    if (policy.idempotent === 'secret') return this.idempotency.keep(row, undefined);
    const sent = REPLAYED_HEADERS.flatMap((name) => {
      const value = reply.getHeader(name);
      return typeof value === 'string' ? [[name, value] as const] : [];
    });
    const text = JSON.stringify(body) as string | undefined;
    await this.idempotency.keep(row, { status: reply.statusCode, headers: Object.fromEntries(sent), body: text ?? '' });
  }

  /**
   * Ignores errors: the action is done, and a failure to settle the key must not turn its response
   * into an error. The claim expires.
   */
  async #quietly(settle: Promise<void>): Promise<void> {
    await settle.catch((error: unknown) =>
      this.#logger.warn({ err: error, msg: 'an idempotency key was not settled' }),
    );
  }
}

function replay(answer: KeptResponse, reply: FastifyReply): unknown {
  void reply.code(answer.status).headers(answer.headers);
  return answer.body === '' ? undefined : (JSON.parse(answer.body) as unknown);
}

function keyedRequest(request: FastifyRequest, caller: Principal | undefined): KeyedRequest | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined || caller === undefined) return undefined;
  const key = typeof header === 'string' ? (QUOTED.exec(header)?.[1] ?? BARE.exec(header)?.[0]) : undefined;
  if (key === undefined) {
    throw invalid([
      {
        pointer: '/idempotency-key',
        in: 'header',
        message: 'must be 1 to 255 visible ASCII characters, quoted or bare',
      },
    ]);
  }
  return { ownerId: caller.ownerId, key, method: request.method, path: pathOf(request.url), body: request.body };
}
