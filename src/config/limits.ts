import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { HttpConfig, RATE_LIMIT_NAMES, RateLimitName } from './config';
import { EnvReader, refused } from './env-reader';

/** A quarter of what this machine can hash: as many passwords are hashed at once as it has cores but one. */
const PASSWORDS = 150 * Math.max(1, availableParallelism() - 1);
const MINUTE_LIMITS: Readonly<Record<RateLimitName, readonly [string, number]>> = {
  register: ['RATE_LIMIT_REGISTER', PASSWORDS],
  login: ['RATE_LIMIT_LOGIN', PASSWORDS],
  codes: ['RATE_LIMIT_CODES', 600],
  refresh: ['RATE_LIMIT_REFRESH', 600],
  links: ['RATE_LIMIT_LINKS', 600],
  // A film that somebody jumps about in asks for many ranges.
  tickets: ['RATE_LIMIT_TICKETS', 6_000],
};
const MOST = 1_000_000;

/** What one address may ask for in a minute, and which addresses are exempt. */
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

/** An address, or a network in CIDR. */
export function isNetwork(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  if (isIP(address) === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIP(address) === 4 ? 32 : 128));
}

const MIB = 1024 ** 2;
const BODY_MEMORY = 64 * MIB;
/** Eight addresses with one body of the largest size each. */
const LEAST_BODY_MEMORY = 8 * MIB;

/** What open connections and bodies on their way may take of this process. */
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
