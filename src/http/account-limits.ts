import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { HttpError } from './refusal';

/** Routes with a limit for each account. */
export type CostlyName = 'read-through' | 'password-links' | 'rotations';

interface AccountLimit {
  readonly atOnce: number;
  readonly perMinute: number;
}

const LIMITS: Readonly<Record<CostlyName, AccountLimit>> = {
  // Verify, rekey and scrub read whole files.
  'read-through': { atOnce: 2, perMinute: 60 },
  // Each request hashes a password.
  'password-links': { atOnce: 4, perMinute: 60 },
  rotations: { atOnce: 2, perMinute: 20 },
};
const WINDOW_SECONDS = 60;

/**
 * Limits the requests of one account to costly routes, whatever its addresses. The counts are kept
 * by process.
 */
export class AccountLimits {
  readonly #running = new Map<string, number>();
  readonly #limiters = new Map<CostlyName, RateLimiterMemory>();

  constructor() {
    for (const [name, { perMinute: points }] of Object.entries(LIMITS)) {
      const options = { points, duration: WINDOW_SECONDS, keyPrefix: name };
      this.#limiters.set(name as CostlyName, new RateLimiterMemory(options));
    }
  }

  /**
   * Takes one request of the account's limit; the returned function releases the concurrency slot.
   * @throws DomainError `rate_limited`
   */
  async take(name: CostlyName, userId: string): Promise<() => void> {
    const key = `${name} ${userId}`;
    const running = this.#running.get(key) ?? 0;
    if (running >= LIMITS[name].atOnce) throw limited(name, { wait: 1, left: 0 });
    this.#running.set(key, running + 1);
    try {
      await this.#limiters.get(name)?.consume(userId);
    } catch (spent) {
      this.#release(key);
      if (!(spent instanceof RateLimiterRes)) throw spent;
      throw limited(name, { wait: Math.max(1, Math.ceil(spent.msBeforeNext / 1000)), left: spent.remainingPoints });
    }
    return () => this.#release(key);
  }

  #release(key: string): void {
    const left = (this.#running.get(key) ?? 1) - 1;
    if (left > 0) this.#running.set(key, left);
    else this.#running.delete(key);
  }
}

function limited(name: CostlyName, { wait, left }: { readonly wait: number; readonly left: number }): HttpError {
  const options = { detail: 'Too many requests of this kind from this account.', retryAfterSeconds: wait };
  return new HttpError('rate_limited', options, {
    'ratelimit-policy': `"${name}";q=${LIMITS[name].perMinute};w=${WINDOW_SECONDS}`,
    ratelimit: `"${name}";r=${left};t=${wait}`,
  });
}
