import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { HttpConfig, RATE_LIMIT_NAMES, RateLimitName } from './config';
import { EnvReader, refused } from './env-reader';

/**
 * A quarter of the password hashes that this machine can compute in a minute, with one hash at a
 * time on all cores but one.
 */
const PASSWORDS = 150 * Math.max(1, availableParallelism() - 1);
const MINUTE_LIMITS: Readonly<Record<RateLimitName, readonly [string, number]>> = {
  register: ['RATE_LIMIT_REGISTER', PASSWORDS],
  login: ['RATE_LIMIT_LOGIN', PASSWORDS],
  codes: ['RATE_LIMIT_CODES', 600],
  refresh: ['RATE_LIMIT_REFRESH', 600],
  links: ['RATE_LIMIT_LINKS', 600],
  // A video player that seeks requests many ranges.
  tickets: ['RATE_LIMIT_TICKETS', 6_000],
};
const MOST = 1_000_000;

/** Rate limits for each address and minute, and the exempt networks. */
export function rateLimits(env: EnvReader): Pick<HttpConfig, 'ratesPerMinute' | 'rateLimitExempt'> {
  const rates = RATE_LIMIT_NAMES.map((name) => {
    const [variable, otherwise] = MINUTE_LIMITS[name];
    return [name, env.whole(variable, 1, MOST, otherwise)] as const;
  });
  return {
    ratesPerMinute: Object.fromEntries(rates) as Record<RateLimitName, number>,
    rateLimitExempt: env.list('RATE_LIMIT_EXEMPT', isNetwork, 'addresses and networks as 10.0.0.0/8'),
  };
}

/** True for an IP address or a network in CIDR notation. */
export function isNetwork(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  if (isIP(address) === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIP(address) === 4 ? 32 : 128));
}

const MIB = 1024 ** 2;
const BODY_MEMORY = 64 * MIB;
/** Room for eight addresses with one body of the largest size each. */
const LEAST_BODY_MEMORY = 8 * MIB;

/** Limits of open connections and of the memory for request bodies. */
export function connectionLimits(env: EnvReader): Pick<HttpConfig, 'connections' | 'bodyMemory'> {
  const bodyMemory = env.bytes('MAX_BODY_MEMORY', BODY_MEMORY) ?? BODY_MEMORY;
  if (bodyMemory < LEAST_BODY_MEMORY) throw refused('MAX_BODY_MEMORY', 'must be at least 8MiB');
  return {
    connections: {
      total: env.whole('MAX_CONNECTIONS', 1, MOST, 8_192),
      perAddress: env.whole('MAX_CONNECTIONS_PER_ADDRESS', 1, MOST, 1_024),
    },
    bodyMemory,
  };
}
