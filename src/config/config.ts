import type { Threads } from './threads';

/**
 * The configuration: one frozen typed object from the environment. .env.example and
 * docs/operations.md explain each variable.
 */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly threads: Threads;
  readonly store:
    { readonly engine: 'embedded' } | { readonly engine: 'mongo'; readonly url: string; readonly dbName: string };
  readonly masterKey: MasterKeyConfig;
  /**
   * Other backends that the environment describes besides MASTER_KEY: the source or target of a
   * move of the master key.
   */
  readonly otherMasterKeys: readonly MasterKeyConfig[];
  /** Age at which the master key is rotated automatically; 0: never. */
  readonly masterKeyRotationDays: number;
  /**
   * True if retiring a master key version, and erasing an account as an administrator, need a
   * second administrator.
   */
  readonly twoPerson: boolean;
  readonly userKeys: {
    readonly cacheSeconds: number;
    readonly store: 'store' | 'vault';
    /**
     * The Vault settings of the environment: required with `vault`, and to move between the two
     * stores.
     */
    readonly vault: (VaultConfig & { readonly kvMount: string }) | undefined;
  };
  readonly tokens: { readonly jwtSecret: string; readonly ttlSeconds: number };
  readonly passwords: {
    readonly pepper: string;
    readonly previousPepper: string | undefined;
    readonly rule: 'classic' | 'length';
    /** Cost of one password hash; `low` in tests only. */
    readonly cost: 'standard' | 'low';
  };
  readonly mail: MailConfig;
  readonly accounts: {
    readonly bootstrapAdmin: 'first-user' | 'none';
    readonly emailVerification: 'off' | 'required';
    /** Who may register after the first account. */
    readonly registration: 'open' | 'invite' | 'closed';
    readonly require2fa: 'off' | 'email';
    /** Whether an API key may be sent as bearer token, or only exchanged for a token. */
    readonly apiKeysAsBearer: boolean;
  };
  readonly blobs: { readonly store: BlobStoreName; readonly s3: S3Config | undefined };
  readonly files: {
    readonly maxSize: number;
    readonly userQuota: number | undefined;
    /** How long a deleted file stays in the trash; 0 disables the trash. */
    readonly trashDays: number;
    /** How long a resumable upload is kept after the last bytes arrived. */
    readonly uploadExpiryMs: number;
  };
  /** Scrub: maximum read rate, and the days between automatic scrubs (0: never). */
  readonly scrub: { readonly bytesPerSecond: number; readonly days: number };
  readonly http: HttpConfig;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent';
  readonly metricsToken: string | undefined;
  readonly auditReads: boolean;
  /**
   * Name of a failpoint at which the process crashes. For fault tests only; refused in production.
   */
  readonly failpoint: string | undefined;
  /** Factor for the deadlines of store, blob store and KMS; above 1 in tests only. */
  readonly deadlineFactor: number;
  /** Factor for the frequency of periodic tasks; above 1 in tests only. */
  readonly scheduleSpeed: number;
  /**
   * Names and paths of the secrets that this start or an earlier one generated. Start-up logs them,
   * never their values.
   */
  readonly generatedSecrets: readonly string[];
}

export type MasterKeyConfig =
  | { readonly home: 'local'; readonly rootKey: string }
  | (VaultConfig & { readonly home: 'transit'; readonly transitMount: string; readonly keyName: string })
  | (VaultConfig & { readonly home: 'kv'; readonly kvMount: string });

export const BLOB_STORES = ['filesystem', 's3', 'gridfs'] as const;
export type BlobStoreName = (typeof BLOB_STORES)[number];

export interface S3Config {
  /** Undefined for AWS. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** Undefined: use the credentials of the machine, such as an instance role. */
  readonly keys: { readonly id: string; readonly secret: string } | undefined;
}

export interface VaultConfig {
  readonly address: string;
  readonly login: { readonly token: string } | { readonly roleId: string; readonly secretId: string };
  readonly namespace: string | undefined;
  readonly caCert: string | undefined;
}

/**
 * The name may hold any characters: the mail header quotes it as a name and never parses it as an
 * address list.
 */
export interface MailSender {
  readonly name: string;
  readonly address: string;
}

export type MailConfig =
  | { readonly kind: 'outbox'; readonly from: MailSender }
  | {
      readonly kind: 'smtp';
      readonly host: string;
      readonly port: number;
      readonly login: { readonly user: string; readonly password: string } | undefined;
      readonly from: MailSender;
      readonly tls: 'starttls' | 'implicit' | 'off';
      /** Timeout of one attempt, from the connection to the reply to the last line. */
      readonly timeoutMs: number;
      /** The client name that EHLO sends. */
      readonly clientName: string;
    };

/** Operations with a rate limit by client address. */
export const RATE_LIMIT_NAMES = ['register', 'login', 'codes', 'refresh', 'links', 'tickets'] as const;
export type RateLimitName = (typeof RATE_LIMIT_NAMES)[number];

export interface HttpConfig {
  /** Form of client addresses in the log and the audit log. */
  readonly logAddresses: 'full' | 'truncated' | 'off';
  readonly publicUrl: string;
  readonly trustedProxies: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly rateLimits: boolean;
  /** Requests that one address may make in a minute. */
  readonly ratesPerMinute: Readonly<Record<RateLimitName, number>>;
  /**
   * Networks of backends that send requests for many users; no limit by address applies to them.
   */
  readonly rateLimitExempt: readonly string[];
  /** Limits of open connections, and of the bytes of request bodies that are held in memory. */
  readonly connections: { readonly total: number; readonly perAddress: number };
  readonly bodyMemory: number;
  readonly docs: boolean;
}

/** DI token of the configuration. */
export const CONFIG = Symbol('coffer:config');
