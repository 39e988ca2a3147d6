import { loadConfig } from './load-config';

const GOOD = 'Zr8vQ2mX5tL0pW9sK4nB7yH1cJ6dF3gA';
const PRODUCTION = { NODE_ENV: 'production', JWT_SECRET: GOOD, PEPPER: `p${GOOD}`, COFFER_ROOT_KEY: `k${GOOD}` };

const refusal = (env: Record<string, string>): string => {
  try {
    loadConfig({ newSecret: () => GOOD, env });
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
};

describe('The secrets of a start in production', () => {
  it('names all secrets that are missing, refused or too short at once', () => {
    expect(refusal({ NODE_ENV: 'production' })).toBe(
      'COFFER_ROOT_KEY, JWT_SECRET, PEPPER must be set in production, as with `openssl rand -base64 32`.',
    );
    expect(refusal({ NODE_ENV: 'production', VAULT_ADDR: 'https://vault:8200', SMTP_USERNAME: 'u' })).toBe(
      'VAULT_TOKEN must be set where VAULT_ADDR is, or VAULT_ROLE_ID and VAULT_SECRET_ID instead. ' +
        'JWT_SECRET, PEPPER must be set in production, as with `openssl rand -base64 32`. ' +
        'SMTP_PASSWORD must be set beside its counterpart.',
    );
    expect(
      refusal({ ...PRODUCTION, JWT_SECRET: 'change-me', PEPPER: 'short', S3_BUCKET: 'b00', AWS_ACCESS_KEY_ID: 'k' }),
    ).toBe(
      'AWS_SECRET_ACCESS_KEY must be set beside AWS_ACCESS_KEY_ID. ' +
        'JWT_SECRET has a sample value, which production refuses; set one of your own. ' +
        'PEPPER must have at least 16 characters.',
    );
  });
});
