import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { HOUR } from '../kernel';
import { blobs } from './blobs';
import { Config, HttpConfig, MasterKeyConfig, VaultConfig } from './config';
import { parseEnvFile } from './env-file';
import { EnvReader, Environment, refused } from './env-reader';
import { connectionLimits, isNetwork, rateLimits as rateLimitsOf } from './limits';
import { mail } from './mail';
import { Secrets } from './secrets';
import { testSettings, type TestSettings } from './test-settings';
import { threads } from './threads';

export interface LoadOptions {
  /** Returns a secret of at least 256 bits, as text. */
  readonly newSecret: () => string;
  readonly env?: Environment;
}

interface Sources {
  readonly env: EnvReader;
  readonly secrets: Secrets;
  readonly production: boolean;
  readonly tests: TestSettings;
}

const TIB = 1024 ** 4;
const SCRUB_RATE = 20 * 1024 ** 2;
const DAY_SECONDS = 86_400;
const MASTER_KEYS = ['transit', 'kv', 'local'] as const;

/**
 * Loads the configuration from the environment. The file named by COFFER_ENV_FILE, or `.env` in the
 * working directory, supplies defaults.
 * @throws StartupError with the variable and the rule; for secrets, with all that are missing or
 * invalid
 */
export function loadConfig(options: LoadOptions): Config {
  const env = new EnvReader(options.env ?? environment());
  const production = env.oneOf('NODE_ENV', ['development', 'test', 'production'], 'development') === 'production';
  const dataDir = resolve(env.text('DATA_DIR') ?? 'data');
  const secrets = new Secrets(env, { production, dataDir, newSecret: options.newSecret });
  const tests = testSettings(env, production);
  const sources: Sources = { env, secrets, production, tests };
  refuseLaterCapabilities(env);
  const config = {
    production,
    dataDir,
    threads: threads(env),
    ...listening(sources),
    ...storage(sources),
    ...identity(sources),
  };
  const complete = { ...config, ...operation(sources, config.host, config.port) };
  secrets.refuseFaults();
  return deepFreeze({ ...complete, generatedSecrets: secrets.generated });
}

/**
 * Returns the variables of the process, merged over those of the file.
 * @throws StartupError
 */
export function environment(): Environment {
  const file = envFile(process.env);
  return { ...(existsSync(file) ? parseEnvFile(readFileSync(file), basename(file)) : {}), ...process.env };
}

/**
 * Returns the path of the file with defaults. A file named by COFFER_ENV_FILE must exist, because
 * without its secrets no data can be decrypted.
 */
function envFile(env: Environment): string {
  return readable(new EnvReader(env), 'COFFER_ENV_FILE') ?? resolve('.env');
}

/**
 * Rejects values of features that this version does not have: to ignore such a value would suggest
 * that the feature works.
 */
function refuseLaterCapabilities(env: EnvReader): void {
  env.notYet('JWT_ALG', ['ES256'], 'use HS256');
  env.oneOf('JWT_ALG', ['HS256'], 'HS256');
  for (const name of ['KACLS_URL', 'WEBAUTHN_RP_ID']) {
    if (env.text(name) !== undefined) throw refused(name, 'is not offered yet by this version; do not set it');
  }
}

function listening({ env, production }: Sources): Pick<Config, 'host' | 'port'> {
  return {
    host: env.text('HOST', /^[A-Za-z0-9.:_-]+$/, 'a host name or an address') ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: env.whole('PORT', 0, 65_535, 8000),
  };
}

type Storage = Pick<
  Config,
  | 'store'
  | 'masterKey'
  | 'otherMasterKeys'
  | 'masterKeyRotationDays'
  | 'twoPerson'
  | 'userKeys'
  | 'blobs'
  | 'files'
  | 'scrub'
>;

function storage({ env, secrets }: Sources): Storage {
  const url = env.alias(['MONGODB_URL', 'MONGODB_URI'], (name) =>
    env.text(name, /^mongodb(\+srv)?:\/\/\S+$/, 'a URL that starts with mongodb:// or mongodb+srv://'),
  );
  const dbName = env.text('DB_NAME', /^[A-Za-z0-9_-]{1,63}$/, '1 to 63 letters, digits, _ or -') ?? 'secure_api';
  return {
    store: url === undefined ? { engine: 'embedded' } : { engine: 'mongo', url, dbName },
    ...masterKeys(env, secrets),
    masterKeyRotationDays: env.whole('KEY_ROTATION_DAYS', 0, 3_650, 0),
    twoPerson: env.oneOf('TWO_PERSON', ['true', 'false'], 'false') === 'true',
    userKeys: userKeys(env, secrets),
    blobs: blobs(env, secrets, url !== undefined),
    files: {
      maxSize: env.bytes('MAX_FILE_SIZE', TIB) ?? TIB,
      userQuota: env.bytes('USER_QUOTA', undefined),
      trashDays: env.whole('TRASH_DAYS', 0, 36_500, 0),
      uploadExpiryMs: env.whole('UPLOAD_EXPIRY_HOURS', 1, 8_760, 24) * HOUR,
    },
    scrub: {
      bytesPerSecond: env.bytes('SCRUB_BYTES_PER_SECOND', SCRUB_RATE) ?? SCRUB_RATE,
      days: env.whole('SCRUB_DAYS', 0, 3_650, 30),
    },
  };
}

function masterKeys(env: EnvReader, secrets: Secrets): Pick<Config, 'masterKey' | 'otherMasterKeys'> {
  const byDefault = vaultAddress(env) === undefined ? 'local' : 'transit';
  const home = env.oneOf('MASTER_KEY', MASTER_KEYS, byDefault);
  return {
    masterKey: masterKey(home, env, secrets),
    otherMasterKeys: MASTER_KEYS.filter((other) => other !== home && isDescribed(other, env, secrets)).map((other) =>
      masterKey(other, env, secrets),
    ),
  };
}

/** True if the environment describes this backend too. Generates no secret. */
function isDescribed(home: MasterKeyConfig['home'], env: EnvReader, secrets: Secrets): boolean {
  if (home === 'local') return secrets.has('COFFER_ROOT_KEY');
  return isVaultDescribed(env, secrets);
}

const isVaultDescribed = (env: EnvReader, secrets: Secrets): boolean =>
  vaultAddress(env) !== undefined && ['VAULT_TOKEN', 'VAULT_ROLE_ID'].some((name) => secrets.has(name));

function masterKey(home: MasterKeyConfig['home'], env: EnvReader, secrets: Secrets): MasterKeyConfig {
  if (home === 'local') return { home, rootKey: secrets.required('COFFER_ROOT_KEY') };
  const connection = vault(env, secrets, `MASTER_KEY is ${home}`);
  if (home === 'kv') return { home, ...connection, kvMount: kvMount(env) };
  return {
    home,
    ...connection,
    transitMount: mount(env, 'VAULT_TRANSIT_MOUNT') ?? 'transit',
    keyName: env.text('VAULT_KEY', /^[A-Za-z0-9_.-]+$/, 'letters, digits, _, . and -') ?? 'coffer-master',
  };
}

function userKeys(env: EnvReader, secrets: Secrets): Config['userKeys'] {
  const store = env.oneOf('USER_KEY_STORE', ['store', 'vault'], 'store');
  const cacheSeconds = env.whole('KMS_CACHE_SECONDS', 0, DAY_SECONDS, 300);
  if (store === 'store' && !isVaultDescribed(env, secrets)) return { store, cacheSeconds, vault: undefined };
  return { store, cacheSeconds, vault: { ...vault(env, secrets, 'USER_KEY_STORE is vault'), kvMount: kvMount(env) } };
}

const vaultAddress = (env: EnvReader): string | undefined =>
  env.alias(['VAULT_ADDR', 'VAULT_URL'], (name) => env.url(name, ['https:', 'http:']));

function vault(env: EnvReader, secrets: Secrets, where: string): VaultConfig {
  const address = vaultAddress(env);
  if (address === undefined) throw refused('VAULT_ADDR', `must be set where ${where}`);
  return {
    address,
    login: vaultLogin(secrets),
    namespace: env.text('VAULT_NAMESPACE'),
    caCert: readable(env, 'VAULT_CACERT'),
  };
}

const mount = (env: EnvReader, name: string): string | undefined =>
  env.text(name, /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, 'a path of letters, digits, _ and -');

const kvMount = (env: EnvReader): string => mount(env, 'VAULT_KV_MOUNT') ?? 'kv';

function vaultLogin(secrets: Secrets): VaultConfig['login'] {
  const token = secrets.credential('VAULT_TOKEN');
  const roleId = secrets.credential('VAULT_ROLE_ID');
  const secretId = secrets.credential('VAULT_SECRET_ID');
  if (roleId !== undefined && secretId !== undefined) return { roleId, secretId };
  if (roleId !== undefined) secrets.fault('VAULT_SECRET_ID', 'must be set beside VAULT_ROLE_ID');
  else if (secretId !== undefined) secrets.fault('VAULT_ROLE_ID', 'must be set beside VAULT_SECRET_ID');
  else if (token === undefined)
    secrets.fault('VAULT_TOKEN', 'must be set where VAULT_ADDR is, or VAULT_ROLE_ID and VAULT_SECRET_ID instead');
  return { token: token ?? '' };
}

function readable(env: EnvReader, name: string): string | undefined {
  const path = env.text(name);
  if (path !== undefined && !existsSync(path)) throw refused(name, 'must be the path of a file that exists');
  return path;
}

type Identity = Pick<Config, 'tokens' | 'passwords' | 'mail' | 'accounts'>;

function identity(sources: Sources): Identity {
  const { env, secrets, production } = sources;
  return {
    tokens: {
      jwtSecret: secrets.required('JWT_SECRET'),
      ttlSeconds: env.whole('JWT_TTL_SECONDS', 1, DAY_SECONDS, 3600),
    },
    passwords: {
      pepper: secrets.required('PEPPER', 16),
      previousPepper: secrets.credential('PEPPER_PREVIOUS'),
      rule: env.oneOf('PASSWORD_RULE', ['classic', 'length'], 'classic'),
      cost: sources.tests.cost,
    },
    mail: mail(env, secrets),
    accounts: {
      bootstrapAdmin: env.oneOf('BOOTSTRAP_ADMIN', ['first-user', 'none'], production ? 'none' : 'first-user'),
      emailVerification: env.oneOf('EMAIL_VERIFICATION', ['off', 'required'], 'off'),
      registration: env.oneOf('REGISTRATION', ['open', 'invite', 'closed'], 'open'),
      require2fa: env.oneOf('REQUIRE_2FA', ['off', 'email'], 'off'),
      apiKeysAsBearer: env.oneOf('API_KEYS_AS_BEARER', ['on', 'off'], 'on') === 'on',
    },
  };
}

type Operation = Pick<
  Config,
  'http' | 'logLevel' | 'metricsToken' | 'auditReads' | 'failpoint' | 'deadlineFactor' | 'scheduleSpeed'
>;

function operation(sources: Sources, host: string, port: number): Operation {
  const { env, secrets, tests } = sources;
  const { failpoint, deadlineFactor, scheduleSpeed } = tests;
  return {
    http: http(sources, host, port),
    logLevel: env.oneOf('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'silent'], 'info'),
    metricsToken: secrets.optional('METRICS_TOKEN', 16),
    auditReads: env.oneOf('AUDIT_READS', ['on', 'off'], 'on') === 'on',
    failpoint,
    deadlineFactor,
    scheduleSpeed,
  };
}

function http({ env, production }: Sources, host: string, port: number): HttpConfig {
  const rateLimits = env.oneOf('RATE_LIMITS', ['on', 'off'], 'on') === 'on';
  if (production && !rateLimits) throw refused('RATE_LIMITS', 'must not be off in production');
  const publicUrl = env.url('PUBLIC_URL', ['https:', 'http:']);
  if (publicUrl !== undefined && /[?#]/.test(publicUrl))
    throw refused('PUBLIC_URL', 'must have no query and no fragment');
  return {
    publicUrl: publicUrl ?? `http://${hostInUrl(host)}:${port}`,
    trustedProxies: env.list('TRUSTED_PROXIES', isProxy, 'addresses and networks as 10.0.0.0/8, or loopback'),
    corsOrigins: env.list('CORS_ORIGINS', isOrigin, 'origins as https://app.example.org'),
    logAddresses: env.oneOf('LOG_ADDRESSES', ['full', 'truncated', 'off'], 'full'),
    rateLimits,
    ...rateLimitsOf(env),
    ...connectionLimits(env),
    docs: env.oneOf('DOCS', ['on', 'off'], production ? 'off' : 'on') === 'on',
  };
}

function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

const isOrigin = (value: string): boolean =>
  URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) && new URL(value).origin === value;

const isProxy = (value: string): boolean =>
  value === 'loopback' || value === 'linklocal' || value === 'uniquelocal' || isNetwork(value);

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value))
    if (typeof member === 'object' && member !== null) deepFreeze(member as object);
  return Object.freeze(value);
}
