import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { CONFIG, Config, RATE_LIMIT_NAMES, RateLimitName } from '../config/config';
import { AccountLimits, CostlyName } from './account-limits';
import { limitKey } from './client-address';
import { Networks } from './networks';
import { HttpError } from './refusal';

const WINDOW_SECONDS = 60;

/**
 * Deliberately high limits against floods from one address, counted by process. The lockout and the
 * budgets of auth/ stop guessing: they count by account, whatever the address.
 */
@Injectable()
export class RateLimits {
  readonly #limiters = new Map<RateLimitName, RateLimiterMemory>();
  readonly #exempt: Networks;
  readonly #accounts = new AccountLimits();

  constructor(@Inject(CONFIG) private readonly config: Config) {
    this.#exempt = new Networks(config.http.rateLimitExempt);
    for (const name of RATE_LIMIT_NAMES) {
      const points = config.http.ratesPerMinute[name];
      this.#limiters.set(name, new RateLimiterMemory({ points, duration: WINDOW_SECONDS, keyPrefix: name }));
    }
  }

  /** True for an address of an exempt backend. */
  isExempt(address: string): boolean {
    return this.#exempt.contains(address);
  }

  /**
   * Takes one request of the address's limit.
   * @throws DomainError `rate_limited`
   */
  async take(name: RateLimitName, address: string): Promise<void> {
    if (!this.config.http.rateLimits || this.isExempt(address)) return;
    try {
      await this.#limiters.get(name)?.consume(limitKey(address));
    } catch (spent) {
      throw spent instanceof RateLimiterRes ? this.#refusal(name, spent) : spent;
    }
  }

  /**
   * Takes one request of an account's limit for a costly route; the returned function releases the
   * concurrency slot.
   * @throws DomainError `rate_limited`
   */
  takeCostly(name: CostlyName, userId: string): Promise<() => void> {
    return this.config.http.rateLimits ? this.#accounts.take(name, userId) : Promise.resolve(() => undefined);
  }

  #refusal(name: RateLimitName, { msBeforeNext, remainingPoints }: RateLimiterRes): HttpError {
    const wait = Math.max(1, Math.ceil(msBeforeNext / 1000));
    const options = { detail: 'Too many requests from this address.', retryAfterSeconds: wait };
    return new HttpError('rate_limited', options, {
      'ratelimit-policy': `"${name}";q=${this.config.http.ratesPerMinute[name]};w=${WINDOW_SECONDS}`,
      ratelimit: `"${name}";r=${remainingPoints};t=${wait}`,
    });
  }
}
