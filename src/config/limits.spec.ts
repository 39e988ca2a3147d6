import { loadConfig } from '.';
import { EnvReader } from './env-reader';
import { rateLimits } from './limits';

const limits = (env: Record<string, string> = {}) => rateLimits(new EnvReader(env));

describe('the limits by address', () => {
  it('have a value each, in proportion to the machine where passwords are hashed', () => {
    const { login, register, ...others } = limits().ratesPerMinute;
    expect(others).toEqual({ codes: 600, refresh: 600, links: 600, tickets: 6_000 });
    expect(login).toBe(register);
    expect(login % 150).toBe(0);
    expect(limits().rateLimitExempt).toEqual([]);
  });

  it('are those of the environment', () => {
    const set = limits({ RATE_LIMIT_LOGIN: '7', RATE_LIMIT_TICKETS: '9', RATE_LIMIT_EXEMPT: '10.0.0.0/8,::1' });
    expect(set.ratesPerMinute).toMatchObject({ login: 7, tickets: 9, codes: 600 });
    expect(set.rateLimitExempt).toEqual(['10.0.0.0/8', '::1']);
  });

  it.each([
    ['RATE_LIMIT_LOGIN must be a whole number', { RATE_LIMIT_LOGIN: '0' }],
    ['RATE_LIMIT_EXEMPT must be', { RATE_LIMIT_EXEMPT: 'loopback' }],
    ['RATE_LIMIT_EXEMPT must be', { RATE_LIMIT_EXEMPT: '10.0.0.0/33' }],
  ])('%s', (message, env) => expect(() => limits(env as Record<string, string>)).toThrow(message));
});

describe('LOG_ADDRESSES', () => {
  const secret = 'a secret of a test that is long enough';
  const secrets = { COFFER_ROOT_KEY: secret, PEPPER: secret, JWT_SECRET: secret };
  const load = (env: Record<string, string> = {}) =>
    loadConfig({ newSecret: () => secret, env: { ...secrets, ...env } });

  it('is full where nothing is set, and one of three', () => {
    expect(load().http.logAddresses).toBe('full');
    expect(load({ LOG_ADDRESSES: 'truncated' }).http.logAddresses).toBe('truncated');
    expect(() => load({ LOG_ADDRESSES: 'some' })).toThrow('LOG_ADDRESSES must be one of full, truncated, off');
  });
});
