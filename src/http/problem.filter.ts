import { ArgumentsHost, Catch, ExceptionFilter, Injectable, Logger } from '@nestjs/common';
import { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError, ErrorCode } from '../kernel';
import { problemHeaders } from './problem-headers';
import { CODES, problemOf } from './problem';
import { toDomainError } from './refusal';
import { policyOf } from './route-policy';
import { sendTusRefusal } from './tus';

// Headers that a handler may have set for the response that failed.
const OF_THE_FAILED_ANSWER = [
  'content-length',
  'content-disposition',
  'content-encoding',
  'accept-ranges',
  'etag',
  'last-modified',
  'link',
  'location',
];

/** Converts every thrown error to an RFC 9457 response. */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('http');

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = toDomainError(thrown);
    if (CODES[error.code].status >= 500) this.#report(error, thrown);
    if (reply.raw.headersSent) {
      // Too late for an error response: a closed connection is the only correct end of an
      // incomplete body.
      reply.raw.destroy();
      return;
    }
    sendProblem(error, request, reply);
  }

  #report(error: DomainError, thrown: unknown): void {
    const line = { code: error.code, err: thrown };
    if (error.code === 'internal') this.#logger.error(line, 'a request failed');
    else this.#logger.warn(line, 'a request could not be served');
  }
}

const codes = new WeakMap<FastifyRequest, ErrorCode>();

/** The error code of a request's response. */
export const refusalOf = (request: FastifyRequest): ErrorCode | undefined => codes.get(request);

export function sendProblem(error: DomainError, request: FastifyRequest, reply: FastifyReply): void {
  codes.set(request, error.code);
  for (const name of OF_THE_FAILED_ANSWER) void reply.removeHeader(name);
  if (policyOf(request.routeOptions.config)?.errors === 'tus') {
    sendTusRefusal(error, reply);
    return;
  }
  const problem = problemOf(error, request.id);
  void reply.code(problem.status).headers(problemHeaders(error)).send(JSON.stringify(problem));
}
