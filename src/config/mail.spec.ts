import { loadConfig } from './load-config';

const load = (env: Readonly<Record<string, string>>): unknown =>
  loadConfig({
    newSecret: () => 'a secret of a test that is long enough',
    env: { DATA_DIR: '/nonexistent/coffer', ...SECRETS, ...env },
  });
const SECRETS = {
  JWT_SECRET: 'a secret of a test that is long enough',
  PEPPER: 'a secret of a test that is long enough',
  COFFER_ROOT_KEY: 'a secret of a test that is long enough',
};

describe('EMAIL_FROM', () => {
  it.each([
    ['Coffer <vault@example.org>', 'Coffer', 'vault@example.org'],
    ['vault@example.org', '', 'vault@example.org'],
    ['IT: Vault <vault@example.org>', 'IT: Vault', 'vault@example.org'],
    ['Vault (Prod) <vault@example.org>', 'Vault (Prod)', 'vault@example.org'],
    ['"Vault, \\"Inc\\"" <vault@example.org>', 'Vault, "Inc"', 'vault@example.org'],
    ['vault@b\u00fccher.example', '', 'vault@xn--bcher-kva.example'],
  ])('%s is a name and an address', (EMAIL_FROM, name, address) => {
    expect(load({ EMAIL_FROM })).toMatchObject({ mail: { from: { name, address } } });
  });
});

describe('SMTP_TLS', () => {
  it.each([
    [{}, 'starttls'],
    [{ SMTP_PORT: '465' }, 'implicit'],
    [{ SMTP_PORT: '465', SMTP_TLS: 'required' }, 'implicit'],
    [{ SMTP_PORT: '465', SMTP_TLS: 'starttls' }, 'starttls'],
    [{ SMTP_PORT: '2465', SMTP_TLS: 'implicit' }, 'implicit'],
    [{ SMTP_TLS: 'required' }, 'starttls'],
  ])('of %j is %s', (env, tls) => {
    expect(load({ SMTP_SERVER: 'mail', ...env })).toMatchObject({ mail: { tls } });
  });
});

describe('The name that EHLO says', () => {
  it.each([
    [{ PUBLIC_URL: 'https://vault.example.org/x' }, 'vault.example.org'],
    [{ PUBLIC_URL: 'http://192.0.2.7', EMAIL_FROM: 'a@b\u00fccher.example' }, 'xn--bcher-kva.example'],
    [{ PUBLIC_URL: 'http://[::1]:8000', EMAIL_FROM: 'a@mail.example' }, 'mail.example'],
    [{}, 'localhost'],
  ])('of %j is %s', (env, clientName) => {
    expect(load({ SMTP_SERVER: 'mail', ...env })).toMatchObject({ mail: { clientName } });
  });
});

describe('SMTP_TIMEOUT_SECONDS', () => {
  it('is a minute where nothing is set, and ten at most', () => {
    expect(load({ SMTP_SERVER: 'mail' })).toMatchObject({ mail: { timeoutMs: 60_000 } });
    expect(load({ SMTP_SERVER: 'mail', SMTP_TIMEOUT_SECONDS: '600' })).toMatchObject({ mail: { timeoutMs: 600_000 } });
    expect(() => load({ SMTP_SERVER: 'mail', SMTP_TIMEOUT_SECONDS: '601' })).toThrow('SMTP_TIMEOUT_SECONDS must be');
  });
});

it('A list of senders is refused', () => {
  expect(() => load({ EMAIL_FROM: 'a@b.org, c@d.org' })).toThrow('EMAIL_FROM must be');
});
