import { Injectable } from '@nestjs/common';
import { FastifyReply, FastifyRequest } from 'fastify';
import { IncomingMessage } from 'node:http';
import {
  Authenticator,
  Clock,
  DomainError,
  Presented,
  Principal,
  Requester,
  Scope,
  UploadTickets,
  narrowing,
  requireFreshProof,
} from '../kernel';
import { nameAct } from '../observability';
import { bearerToken } from './bearer';
import { principalOf, setPrincipal, setRefusal } from './caller';
import { limitKey } from './client-address';
import { Lifecycle } from './lifecycle';
import { RateLimits } from './rate-limits';
import { methodNotAllowed } from './refusal';
import { RoutePolicy, policyOf, principalsOf } from './route-policy';
import { RouteTable, pathOf } from './route-table';

/**
 * Enforces the route's policy for each request. Runs on the headers alone, before the body is read,
 * so that no body of a rejected request is received.
 */
@Injectable()
export class RequestGuard {
  constructor(
    private readonly routes: RouteTable,
    private readonly limits: RateLimits,
    private readonly authenticator: Authenticator,
    private readonly tickets: UploadTickets,
    private readonly lifecycle: Lifecycle,
    private readonly clock: Clock,
  ) {}

  /** Admits the request, or throws the DomainError of its rejection. */
  async authorize(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    checkHost(request.raw);
    const policy = policyOf(request.routeOptions.config);
    if (request.is404 || policy === undefined) {
      this.#unmatched(request, reply);
      return;
    }
    this.#checkServing(policy);
    if (policy.page !== true) checkQuery(request);
    if (policy.rateLimit !== undefined) await this.limits.take(policy.rateLimit, request.ip);
    const identified = await this.#identify(policy, request);
    if (identified === undefined) return;
    this.#requirePolicy(policy, identified);
    const principal = await admitted(policy, identified);
    setPrincipal(request, principal);
    if (policy.costly === undefined) return;
    const release = await this.limits.takeCostly(policy.costly, principal.ownerId);
    if (reply.raw.destroyed) release();
    else reply.raw.once('close', release);
  }

  /** The address and account for which an admitted request is processed. */
  requesterOf(request: FastifyRequest): Requester {
    const address = this.limits.isExempt(request.ip) ? undefined : limitKey(request.ip);
    return { address, account: principalOf(request)?.ownerId };
  }

  #unmatched(request: FastifyRequest, reply: FastifyReply): void {
    const allowed = this.routes.allowed(pathOf(request.raw.url));
    if (allowed.length === 0) throw new DomainError('not_found', { detail: 'There is nothing at this path.' });
    if (request.method !== 'OPTIONS') throw methodNotAllowed(allowed);
    void reply
      .code(204)
      .headers({ allow: allowed.join(', ') })
      .send();
  }

  #checkServing(policy: RoutePolicy): void {
    const { refusal } = this.lifecycle;
    if (refusal !== undefined && policy.always !== true) throw refusal;
  }

  async #identify(policy: RoutePolicy, request: FastifyRequest): Promise<Principal | undefined> {
    if (policy.access === 'public') return undefined;
    if (policy.access === 'optional') return this.#identifyIfPossible(request);
    const token = bearerToken(request.headers.authorization);
    if (token !== undefined && principalsOf(policy).includes('link-holder') && this.tickets.isTicket(token)) {
      return this.tickets.uploader(token);
    }
    if (token !== undefined) return this.authenticator.authenticate(token, presentedBy(request));
    throw new DomainError('unauthenticated', { detail: 'Send an access token as `Authorization: Bearer <token>`.' });
  }

  /**
   * Clients may send an expired token, or one for a proxy, together with credentials in the body.
   */
  async #identifyIfPossible(request: FastifyRequest): Promise<Principal | undefined> {
    try {
      const token = bearerToken(request.headers.authorization);
      return token === undefined ? undefined : await this.authenticator.authenticate(token, presentedBy(request));
    } catch (error) {
      setRefusal(request, error);
      return undefined;
    }
  }

  #requirePolicy(policy: RoutePolicy, principal: Principal): void {
    if (policy.scope !== undefined) requireScope(policy, policy.scope, principal);
    if (policy.stepUp === true) requireFreshProof(principal, this.clock.now());
  }
}

/** @throws DomainError `permission_denied` (a person with another role), `insufficient_scope` */
function requireScope(policy: RoutePolicy, scope: Scope, principal: Principal): void {
  const isAdmitted = principalsOf(policy).includes(principal.kind);
  if (isAdmitted && principal.scopes.includes(scope)) return;
  if (isAdmitted && scope === 'administration') {
    throw new DomainError('permission_denied', { detail: 'Only an administrator may do this.' });
  }
  if (isAdmitted && scope === 'audit') {
    throw new DomainError('permission_denied', { detail: 'Only an administrator or an auditor may do this.' });
  }
  throw new DomainError('insufficient_scope');
}

/** What beside the bearer token says who calls. */
const presentedBy = ({ ip, raw }: FastifyRequest): Presented => ({
  address: ip,
  subjects: raw.headersDistinct['coffer-subject'] ?? [],
});

/**
 * The principal as the handler gets it: narrowed as its scope for this route is, and there if it is
 * about to own something.
 */
async function admitted(policy: RoutePolicy, principal: Principal): Promise<Principal> {
  if (principal.kind === 'subject') nameAct(principal.act);
  const isNew = policy.firstWrite === true && principal.kind === 'subject' && principal.establish !== undefined;
  const present = isNew ? await principal.establish() : principal;
  if (present.granted === undefined || policy.scope === undefined) return present;
  return { ...present, within: narrowing(present.granted, policy.scope) };
}

/** RFC 9112, 3.2. With two Host headers, a proxy may have used the other one. */
function checkHost({ headersDistinct, httpVersion }: IncomingMessage): void {
  const hosts = headersDistinct['host']?.length ?? 0;
  if (hosts > 1) throw new DomainError('validation_failed', { detail: 'The request has several Host headers.' });
  if (hosts === 0 && httpVersion === '1.1') {
    throw new DomainError('validation_failed', { detail: 'The request has no Host header.' });
  }
}

/** Maximum number of query parameters. No route has a tenth of that. */
const MAX_PARAMETERS = 100;

// Fastify leaves a value that cannot be decoded unchanged; a name would then differ from the one
// that was sent.
function checkQuery(request: FastifyRequest): void {
  const query = queryOf(request);
  if (query.split('&', MAX_PARAMETERS + 1).length > MAX_PARAMETERS) {
    throw new DomainError('validation_failed', { detail: `The query has more than ${MAX_PARAMETERS} parameters.` });
  }
  if (!decodes(query)) {
    throw new DomainError('validation_failed', { detail: 'The query is not UTF-8 in percent-encoding.' });
  }
}

const queryOf = ({ raw }: FastifyRequest): string => /\?(.*)$/s.exec(raw.url ?? '')?.[1] ?? '';

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
