import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { CONFIG, Config } from '../config/config';
import { limitKey } from './client-address';
import { RateLimitName } from './policy';
import { HttpRefusal } from './refusal';

/**
 * Generous on purpose: these stop a flood from one place. Guessing is stopped by the lockout and the budgets of auth/, which count by
 * account and hold whatever the address. Counted a process.
 */
const PER_MINUTE: Readonly<Record<RateLimitName, number>> = {
  login: 600,
  register: 600,
  codes: 600,
  refresh: 600,
  links: 600,
  // A film that somebody jumps about in asks for many ranges.
  tickets: 6_000,
};
const WINDOW_SECONDS = 60;

@Injectable()
export class RateLimits {
  readonly #limiters = new Map<RateLimitName, RateLimiterMemory>();

  constructor(@Inject(CONFIG) private readonly config: Config) {
    for (const [name, points] of Object.entries(PER_MINUTE)) {
      const limiter = new RateLimiterMemory({ points, duration: WINDOW_SECONDS, keyPrefix: name });
      this.#limiters.set(name as RateLimitName, limiter);
    }
  }

  /** Takes one request from the address's share. @throws DomainError `rate_limited` */
  async take(name: RateLimitName, address: string): Promise<void> {
    if (!this.config.http.rateLimits) return;
    try {
      await this.#limiters.get(name)?.consume(limitKey(address));
    } catch (spent) {
      throw spent instanceof RateLimiterRes ? limited(name, spent) : spent;
    }
  }
}

function limited(name: RateLimitName, { msBeforeNext, remainingPoints }: RateLimiterRes): HttpRefusal {
  const wait = Math.max(1, Math.ceil(msBeforeNext / 1000));
  const options = { detail: 'Too many requests from this address.', retryAfterSeconds: wait };
  return new HttpRefusal('rate_limited', options, {
    'ratelimit-policy': `"${name}";q=${PER_MINUTE[name]};w=${WINDOW_SECONDS}`,
    ratelimit: `"${name}";r=${remainingPoints};t=${wait}`,
  });
}
