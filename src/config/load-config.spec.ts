import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartupError } from '../kernel';
import { Config } from './config';
import { loadConfig } from './load-config';

const GOOD = 'Zr8vQ2mX5tL0pW9sK4nB7yH1cJ6dF3gA';
const PRODUCTION = { NODE_ENV: 'production', JWT_SECRET: GOOD, PEPPER: `p${GOOD}`, COFFER_ROOT_KEY: `k${GOOD}` };
const VAULT = { VAULT_ADDR: 'http://127.0.0.1:8200', VAULT_TOKEN: 'hvs.A1b2C3' };

let dataDir: string;
let made: number;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'coffer-config-'));
  made = 0;
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const load = (env: Record<string, string> = {}): Config =>
  loadConfig({ newSecret: () => `${GOOD}${++made}`, env: { DATA_DIR: dataDir, ...env } });

function refusal(env: Record<string, string>): string {
  try {
    load(env);
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('what holds where nothing is set', () => {
  it('listens on loopback, port 8000, on the embedded store with a local keyring and an outbox', () => {
    const config = load();
    expect(config).toMatchObject({
      production: false,
      host: '127.0.0.1',
      port: 8000,
      store: { engine: 'embedded' },
      masterKey: { home: 'local' },
      userKeys: { store: 'store', cacheSeconds: 300 },
      tokens: { ttlSeconds: 3600 },
      passwords: { previousPepper: undefined, rule: 'classic', cost: 'standard' },
      mail: { kind: 'outbox', from: { name: '', address: 'coffer@localhost' } },
      accounts: { bootstrapAdmin: 'first-user', emailVerification: 'off', registration: 'open', require2fa: 'off' },
      blobs: { store: 'filesystem' },
      files: { maxSize: 1024 ** 4, userQuota: undefined, uploadExpiryMs: 86_400_000 },
      http: { publicUrl: 'http://127.0.0.1:8000', trustedProxies: [], corsOrigins: [], rateLimits: true, docs: true },
      logLevel: 'info',
      metricsToken: undefined,
      auditReads: true,
      failpoint: undefined,
      deadlineFactor: 1,
      scheduleSpeed: 1,
    });
  });

  it('keeps its data in ./data', () => {
    expect(loadConfig({ newSecret: () => GOOD, env: { ...PRODUCTION } }).dataDir).toBe(join(process.cwd(), 'data'));
  });

  it('cannot be changed afterwards', () => {
    const config = load() as { -readonly [K in keyof Config]: Config[K] };
    expect(() => (config.port = 1)).toThrow(TypeError);
    expect(() => ((config.http as { docs: boolean }).docs = false)).toThrow(TypeError);
  });

  it('takes an empty variable as one that is not set', () => {
    expect(load({ PORT: '', MONGODB_URL: ' ', SMTP_SERVER: '' })).toMatchObject({
      port: 8000,
      store: { engine: 'embedded' },
    });
  });
});

describe('each variable', () => {
  const accepted: [Record<string, string>, object][] = [
    [{ HOST: '::1' }, { host: '::1', http: { publicUrl: 'http://[::1]:8000' } }],
    [{ PORT: '0' }, { port: 0 }],
    [
      { MONGODB_URL: 'mongodb://db:27017', DB_NAME: 'vault' },
      { store: { engine: 'mongo', url: 'mongodb://db:27017', dbName: 'vault' } },
    ],
    [
      { MONGODB_URI: 'mongodb+srv://db' },
      { store: { engine: 'mongo', url: 'mongodb+srv://db', dbName: 'secure_api' } },
    ],
    [{ MONGODB_URL: 'mongodb://a', MONGODB_URI: 'mongodb://a' }, { store: { url: 'mongodb://a' } }],
    [
      VAULT,
      {
        masterKey: {
          home: 'transit',
          address: 'http://127.0.0.1:8200',
          login: { token: 'hvs.A1b2C3' },
          transitMount: 'transit',
          keyName: 'coffer-master',
        },
      },
    ],
    [
      { VAULT_URL: 'https://vault:8200/', VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's' },
      { masterKey: { address: 'https://vault:8200', login: { roleId: 'r', secretId: 's' } } },
    ],
    [
      {
        ...VAULT,
        VAULT_NAMESPACE: 'team',
        VAULT_TRANSIT_MOUNT: 'keys/transit',
        VAULT_KEY: 'main',
        VAULT_CACERT: __filename,
      },
      { masterKey: { namespace: 'team', transitMount: 'keys/transit', keyName: 'main', caCert: __filename } },
    ],
    [{ ...VAULT, MASTER_KEY: 'local', COFFER_ROOT_KEY: GOOD }, { masterKey: { home: 'local', rootKey: GOOD } }],
    [
      { ...VAULT, MASTER_KEY: 'kv' },
      { masterKey: { home: 'kv', address: 'http://127.0.0.1:8200', login: { token: 'hvs.A1b2C3' }, kvMount: 'kv' } },
    ],
    [
      { ...VAULT, USER_KEY_STORE: 'vault', VAULT_KV_MOUNT: 'team/kv' },
      {
        masterKey: { home: 'transit' },
        userKeys: { store: 'vault', vault: { kvMount: 'team/kv' }, cacheSeconds: 300 },
      },
    ],
    [
      { ...VAULT, MASTER_KEY: 'local', USER_KEY_STORE: 'vault' },
      { masterKey: { home: 'local' }, userKeys: { store: 'vault', vault: { address: 'http://127.0.0.1:8200' } } },
    ],
    [
      { ...VAULT, MASTER_KEY: 'local', VAULT_KV_MOUNT: 'team/kv' },
      { userKeys: { store: 'store', vault: { address: 'http://127.0.0.1:8200', kvMount: 'team/kv' } } },
    ],
    [{ USER_KEY_STORE: 'store', KMS_CACHE_SECONDS: '0' }, { userKeys: { store: 'store', cacheSeconds: 0 } }],
    [{ JWT_SECRET: GOOD, JWT_ALG: 'HS256', JWT_TTL_SECONDS: '60' }, { tokens: { jwtSecret: GOOD, ttlSeconds: 60 } }],
    [{ PEPPER: GOOD, PEPPER_PREVIOUS: 'older' }, { passwords: { pepper: GOOD, previousPepper: 'older' } }],
    [{ PASSWORD_RULE: 'length' }, { passwords: { rule: 'length' } }],
    [
      { SMTP_SERVER: 'mail', SMTP_PORT: '25', SMTP_TLS: 'off' },
      { mail: { kind: 'smtp', host: 'mail', port: 25, tls: 'off', login: undefined } },
    ],
    [
      { SMTP_SERVER: 'mail', SMTP_USERNAME: 'a@b.org', SMTP_PASSWORD: 'x' },
      { mail: { port: 587, tls: 'starttls', from: { address: 'a@b.org' }, login: { user: 'a@b.org', password: 'x' } } },
    ],
    [
      { BOOTSTRAP_ADMIN: 'none', EMAIL_VERIFICATION: 'required', REQUIRE_2FA: 'email' },
      { accounts: { bootstrapAdmin: 'none', emailVerification: 'required', require2fa: 'email' } },
    ],
    [{ REGISTRATION: 'invite' }, { accounts: { registration: 'invite' } }],
    [{ BLOB_STORE: 'filesystem' }, { blobs: { store: 'filesystem', s3: undefined } }],
    [{ BLOB_STORE: 'gridfs', MONGODB_URL: 'mongodb://db' }, { blobs: { store: 'gridfs', s3: undefined } }],
    [
      { BLOB_STORE: 's3', S3_BUCKET: 'vault-blobs' },
      {
        blobs: {
          store: 's3',
          s3: { endpoint: undefined, bucket: 'vault-blobs', region: 'us-east-1', keys: undefined },
        },
      },
    ],
    [
      {
        S3_BUCKET: 'b-1',
        S3_ENDPOINT: 'http://minio:9000/',
        S3_REGION: 'eu-central-1',
        AWS_ACCESS_KEY_ID: 'id',
        AWS_SECRET_ACCESS_KEY: 's3cr3t',
      },
      {
        blobs: {
          store: 'filesystem',
          s3: { endpoint: 'http://minio:9000', region: 'eu-central-1', keys: { id: 'id', secret: 's3cr3t' } },
        },
      },
    ],
    [
      { MAX_FILE_SIZE: '10 MiB', USER_QUOTA: '1073741824' },
      { files: { maxSize: 10 * 1024 ** 2, userQuota: 1024 ** 3 } },
    ],
    [{ RATE_LIMITS: 'off' }, { http: { rateLimits: false } }],
    [{ TRUSTED_PROXIES: '10.0.0.0/8, ::1,loopback' }, { http: { trustedProxies: ['10.0.0.0/8', '::1', 'loopback'] } }],
    [
      { CORS_ORIGINS: 'https://a.example,http://localhost:3000' },
      { http: { corsOrigins: ['https://a.example', 'http://localhost:3000'] } },
    ],
    [{ PUBLIC_URL: 'https://vault.example.org/coffer/' }, { http: { publicUrl: 'https://vault.example.org/coffer' } }],
    [
      { LOG_LEVEL: 'silent', DOCS: 'off', AUDIT_READS: 'off', LOG_ADDRESSES: 'off' },
      { logLevel: 'silent', http: { docs: false, logAddresses: 'off' }, auditReads: false },
    ],
    [{ METRICS_TOKEN: GOOD }, { metricsToken: GOOD }],
    [{ KEY_ROTATION_DAYS: '90' }, { masterKeyRotationDays: 90 }],
    [{ TWO_PERSON: 'true' }, { twoPerson: true }],
    [{ KEY_ROTATION_DAYS: '0', TWO_PERSON: 'false', TRASH_DAYS: '0' }, { twoPerson: false }],
    [{}, { scrub: { bytesPerSecond: 20 * 1024 ** 2, days: 30 } }],
    [{ SCRUB_BYTES_PER_SECOND: '1 GiB', SCRUB_DAYS: '0' }, { scrub: { bytesPerSecond: 1024 ** 3, days: 0 } }],
    [{ UPLOAD_EXPIRY_HOURS: '2' }, { files: { uploadExpiryMs: 7_200_000 } }],
  ];
  it.each(accepted)('takes %j', (env, expected) => {
    expect(load(env)).toMatchObject(expected);
  });

  const refusedValues: [string, Record<string, string>][] = [
    ['NODE_ENV must be one of', { NODE_ENV: 'prod' }],
    ['HOST must be', { HOST: 'a b' }],
    ['PORT must be a whole number from 0 to 65535', { PORT: '65536' }],
    ['PORT must be a whole number', { PORT: '0x50' }],
    ['MONGODB_URL must be', { MONGODB_URL: 'postgres://db' }],
    ['MONGODB_URI must be the same', { MONGODB_URL: 'mongodb://a', MONGODB_URI: 'mongodb://b' }],
    ['DB_NAME must be', { DB_NAME: 'a.b' }],
    ['MASTER_KEY must be one of', { MASTER_KEY: 'file' }],
    ['VAULT_ADDR must be set where MASTER_KEY is kv', { MASTER_KEY: 'kv' }],
    ['VAULT_ADDR must be set where USER_KEY_STORE is vault', { USER_KEY_STORE: 'vault' }],
    ['VAULT_TOKEN must be set', { VAULT_ADDR: 'http://127.0.0.1:8200', MASTER_KEY: 'kv' }],
    ['VAULT_KV_MOUNT must be', { ...VAULT, MASTER_KEY: 'kv', VAULT_KV_MOUNT: '/kv/' }],
    ['VAULT_ADDR must be set', { MASTER_KEY: 'transit' }],
    ['VAULT_ADDR must be a URL', { VAULT_ADDR: 'vault:8200' }],
    ['VAULT_URL must be the same', { ...VAULT, VAULT_URL: 'http://other' }],
    ['VAULT_TOKEN must be set', { VAULT_ADDR: 'http://127.0.0.1:8200' }],
    ['VAULT_SECRET_ID must be set', { VAULT_ADDR: 'http://127.0.0.1:8200', VAULT_ROLE_ID: 'r' }],
    ['VAULT_ROLE_ID must be set', { VAULT_ADDR: 'http://127.0.0.1:8200', VAULT_SECRET_ID: 's' }],
    ['VAULT_CACERT must be the path', { ...VAULT, VAULT_CACERT: '/nowhere/ca.pem' }],
    ['VAULT_TRANSIT_MOUNT must be', { ...VAULT, VAULT_TRANSIT_MOUNT: '../sys' }],
    ['VAULT_KEY must be', { ...VAULT, VAULT_KEY: 'a/b' }],
    ['USER_KEY_STORE must be one of', { USER_KEY_STORE: 'disk' }],
    ['KMS_CACHE_SECONDS must be', { KMS_CACHE_SECONDS: '-1' }],
    ['KEY_ROTATION_DAYS must be', { KEY_ROTATION_DAYS: '-1' }],
    ['SCRUB_DAYS must be', { SCRUB_DAYS: 'never' }],
    ['SCRUB_BYTES_PER_SECOND must be', { SCRUB_BYTES_PER_SECOND: '0' }],
    ['TWO_PERSON must be one of', { TWO_PERSON: 'yes' }],
    ['JWT_ALG has a value that this version does not offer yet', { JWT_ALG: 'ES256' }],
    ['JWT_ALG must be one of', { JWT_ALG: 'none' }],
    ['JWT_TTL_SECONDS must be', { JWT_TTL_SECONDS: '0' }],
    ['PASSWORD_RULE must be one of', { PASSWORD_RULE: 'none' }],
    ['SMTP_SERVER must be', { SMTP_SERVER: 'smtp://mail' }],
    ['SMTP_PORT must be', { SMTP_PORT: '0' }],
    ['SMTP_PASSWORD must be set', { SMTP_USERNAME: 'a' }],
    ['SMTP_USERNAME must be set', { SMTP_PASSWORD: 'a' }],
    ['SMTP_TLS must be one of', { SMTP_TLS: 'maybe' }],
    ['EMAIL_FROM must be', { EMAIL_FROM: 'nobody' }],
    ['EMAIL_FROM must be', { EMAIL_FROM: 'a@b.org\r\nBcc: c@d.org' }],
    ['BOOTSTRAP_ADMIN must be one of', { BOOTSTRAP_ADMIN: 'root' }],
    ['EMAIL_VERIFICATION must be one of', { EMAIL_VERIFICATION: 'on' }],
    ['REQUIRE_2FA must be one of', { REQUIRE_2FA: 'on' }],
    ['S3_BUCKET must be set where BLOB_STORE is s3', { BLOB_STORE: 's3' }],
    ['S3_BUCKET must be the name of a bucket', { S3_BUCKET: 'a/b' }],
    ['S3_ENDPOINT must be a URL', { S3_BUCKET: 'bucket', S3_ENDPOINT: 'minio:9000' }],
    ['AWS_ACCESS_KEY_ID must be set where S3_ENDPOINT is', { S3_BUCKET: 'bucket', S3_ENDPOINT: 'http://minio:9000' }],
    ['AWS_SECRET_ACCESS_KEY must be set beside', { S3_BUCKET: 'bucket', AWS_ACCESS_KEY_ID: 'a' }],
    ['AWS_ACCESS_KEY_ID must be set beside', { S3_BUCKET: 'bucket', AWS_SECRET_ACCESS_KEY: 'a' }],
    ['MONGODB_URL must be set where BLOB_STORE is gridfs', { BLOB_STORE: 'gridfs' }],
    ['BLOB_STORE must be one of', { BLOB_STORE: 'ftp' }],
    ['MAX_FILE_SIZE must be', { MAX_FILE_SIZE: '1 GB' }],
    ['USER_QUOTA must be', { USER_QUOTA: '0' }],
    ['TRASH_DAYS must be a whole number', { TRASH_DAYS: '-1' }],
    ['UPLOAD_EXPIRY_HOURS must be', { UPLOAD_EXPIRY_HOURS: '0' }],
    ['RATE_LIMITS must be one of', { RATE_LIMITS: 'no' }],
    ['TRUSTED_PROXIES must be', { TRUSTED_PROXIES: '10.0.0.0/33' }],
    ['TRUSTED_PROXIES must be', { TRUSTED_PROXIES: 'true' }],
    ['CORS_ORIGINS must be', { CORS_ORIGINS: '*' }],
    ['CORS_ORIGINS must be', { CORS_ORIGINS: 'https://a.example/path' }],
    ['PUBLIC_URL must be', { PUBLIC_URL: 'vault.example.org' }],
    ['PUBLIC_URL must have no query', { PUBLIC_URL: 'https://a.example/?x=1' }],
    ['WEBAUTHN_RP_ID is not offered yet', { WEBAUTHN_RP_ID: 'example.org' }],
    ['KACLS_URL is not offered yet', { KACLS_URL: 'https://a.example' }],
    ['LOG_LEVEL must be one of', { LOG_LEVEL: 'loud' }],
    ['DOCS must be one of', { DOCS: 'yes' }],
    ['AUDIT_READS must be one of', { AUDIT_READS: 'some' }],
  ];
  it.each(refusedValues)('says "%s" for %j and never the value', (message, env) => {
    const said = refusal(env);
    expect(said).toContain(message);
    expect(said).not.toContain('\n');
    for (const value of Object.values(env).filter((text) => text.length > 8)) expect(said).not.toContain(value);
  });
});

describe('homes of the master key beside that of MASTER_KEY', () => {
  const others = (env: Record<string, string>): string[] => load(env).otherMasterKeys.map(({ home }) => home);

  it('are those that the environment describes', () => {
    expect(others({})).toEqual([]);
    expect(others({ COFFER_ROOT_KEY: GOOD })).toEqual([]);
    expect(others({ ...VAULT, MASTER_KEY: 'local' })).toEqual(['transit', 'kv']);
    expect(others({ ...VAULT, COFFER_ROOT_KEY: GOOD, MASTER_KEY: 'kv' })).toEqual(['transit', 'local']);
  });

  it('are left out, and no secret is made for them, where something is missing', () => {
    const config = load(VAULT);
    expect(config.otherMasterKeys.map(({ home }) => home)).toEqual(['kv']);
    expect(config.generatedSecrets.join()).not.toContain('COFFER_ROOT_KEY');
    expect(others({ VAULT_ADDR: 'http://127.0.0.1:8200', MASTER_KEY: 'local' })).toEqual([]);
  });

  it('hold the keyring where an earlier start generated its root key', () => {
    load({});
    expect(others(VAULT)).toEqual(['kv', 'local']);
  });
});

describe('secrets outside production', () => {
  it('are made once, kept with mode 0600, used again and named without their value', () => {
    const first = load();
    const second = load();
    expect(made).toBe(3);
    expect(second.tokens.jwtSecret).toBe(first.tokens.jwtSecret);
    expect(new Set([first.tokens.jwtSecret, first.passwords.pepper]).size).toBe(2);
    expect(statSync(join(dataDir, 'secrets', 'jwt-secret')).mode & 0o777).toBe(0o600);
    expect(second.generatedSecrets.map((line) => line.split(' ')[0]).sort()).toEqual([
      'COFFER_ROOT_KEY',
      'JWT_SECRET',
      'PEPPER',
    ]);
    expect(second.generatedSecrets.join()).not.toContain(GOOD);
  });

  it('are taken from the process that came first where two start at once', () => {
    const early = join(dataDir, 'secrets', 'jwt-secret');
    const config = loadConfig({
      env: { DATA_DIR: dataDir, PEPPER: GOOD, COFFER_ROOT_KEY: GOOD },
      newSecret: () => {
        writeFileSync(early, `other-${GOOD}\n`, { mode: 0o600 });
        return `mine-${GOOD}`;
      },
    });
    expect(config.tokens.jwtSecret).toBe(`other-${GOOD}`);
    expect(readdirSync(join(dataDir, 'secrets'))).toEqual(['jwt-secret']);
  });

  it('are closed to others again where somebody opened the file', () => {
    load();
    const path = join(dataDir, 'secrets', 'pepper');
    chmodSync(path, 0o644);
    load();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('stop the start where the kept file was cut short, and are not made anew', () => {
    load();
    writeFileSync(join(dataDir, 'secrets', 'pepper'), '');
    expect(refusal({})).toContain('cut short');
    expect(readFileSync(join(dataDir, 'secrets', 'pepper'), 'utf8')).toBe('');
  });

  it('stop the start with one line where the folder cannot be made', () => {
    const file = join(dataDir, 'a-file');
    writeFileSync(file, '');
    expect(refusal({ DATA_DIR: file })).toContain('DATA_DIR must be a folder that can be written');
  });

  it('are not made where they are given', () => {
    expect(load({ JWT_SECRET: 'short', PEPPER: 'short', COFFER_ROOT_KEY: 'short' }).generatedSecrets).toEqual([]);
    expect(existsSync(join(dataDir, 'secrets'))).toBe(false);
  });
});

describe('production', () => {
  it('listens on all addresses, without docs and without a first administrator', () => {
    expect(load(PRODUCTION)).toMatchObject({
      production: true,
      host: '0.0.0.0',
      http: { publicUrl: 'http://localhost:8000', docs: false },
      accounts: { bootstrapAdmin: 'none' },
      generatedSecrets: [],
    });
  });

  it.each(['JWT_SECRET', 'PEPPER', 'COFFER_ROOT_KEY'])('does not start without %s', (name) => {
    expect(refusal({ ...PRODUCTION, [name]: '' })).toMatch(new RegExp(`^${name} must be set in production`));
    expect(made).toBe(0);
  });

  it.each(['JWT_SECRET', 'PEPPER', 'COFFER_ROOT_KEY'])('does not start with a %s that is too short', (name) => {
    expect(refusal({ ...PRODUCTION, [name]: 'Zr8vQ2mX5tL' })).toContain(`${name} must have at least`);
  });

  const samples = [
    'change-me-to-32-random-bytes-in-base64',
    '<secure_random_string>-and-more-of-it-still',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'your_jwt_secret_that_is_long_enough_to_pass',
    'CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME',
    'supersecretsupersecretsupersecretsupersecret',
    'dev-secret-dev-secret-dev-secret-dev-secret',
    'insecure-secret-for-development-only-00',
    '0123456789abcdef0123456789abcdef',
  ];
  it.each(samples)('does not start with the sample secret %s', (value) => {
    const said = refusal({ ...PRODUCTION, JWT_SECRET: value });
    expect(said).toBe('JWT_SECRET has a sample value, which production refuses; set one of your own.');
  });

  it.each(['VAULT_TOKEN', 'VAULT_SECRET_ID', 'SMTP_PASSWORD', 'METRICS_TOKEN', 'PEPPER_PREVIOUS'])(
    'does not start with a sample %s',
    (name) => {
      const env = {
        ...PRODUCTION,
        ...VAULT,
        VAULT_ROLE_ID: 'r',
        VAULT_SECRET_ID: 's',
        SMTP_USERNAME: 'u',
        SMTP_PASSWORD: 'x',
      };
      expect(refusal({ ...env, [name]: 'change-me' })).toContain(`${name} has a sample value`);
    },
  );

  it('does not start with limits off', () => {
    expect(refusal({ ...PRODUCTION, RATE_LIMITS: 'off' })).toBe('RATE_LIMITS must not be off in production.');
  });
});
