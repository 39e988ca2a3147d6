import type { Threads } from './threads';

/** One frozen typed object from the environment. What each variable means stands in .env.example and docs/operations.md. */
export interface Config {
  readonly production: boolean;
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
  readonly threads: Threads;
  readonly store:
    { readonly engine: 'embedded' } | { readonly engine: 'mongo'; readonly url: string; readonly dbName: string };
  readonly masterKey: MasterKeyConfig;
  /** Homes that the environment describes beside that of MASTER_KEY: what the master key can move to, or came from. */
  readonly otherMasterKeys: readonly MasterKeyConfig[];
  /** Age at which the master key is rotated by itself; 0: never. */
  readonly masterKeyRotationDays: number;
  /** Retiring a master key version, and an administrator's erase of an account, take a second administrator. */
  readonly twoPerson: boolean;
  readonly userKeys: {
    readonly cacheSeconds: number;
    readonly store: 'store' | 'vault';
    /** What the environment says of Vault: required with `vault`, and to move between the two. */
    readonly vault: (VaultConfig & { readonly kvMount: string }) | undefined;
  };
  readonly tokens: { readonly jwtSecret: string; readonly ttlSeconds: number };
  readonly passwords: {
    readonly pepper: string;
    readonly previousPepper: string | undefined;
    readonly rule: 'classic' | 'length';
    /** What one hash costs; `low` in tests only. */
    readonly cost: 'standard' | 'low';
  };
  readonly mail: MailConfig;
  readonly accounts: {
    readonly bootstrapAdmin: 'first-user' | 'none';
    readonly emailVerification: 'off' | 'required';
    /** Who may register, beside the first account. */
    readonly registration: 'open' | 'invite' | 'closed';
    readonly require2fa: 'off' | 'email';
  };
  readonly blobs: { readonly store: BlobStoreName; readonly s3: S3Config | undefined };
  readonly files: {
    readonly maxSize: number;
    readonly userQuota: number | undefined;
    /** How long a removed file stays in the trash; 0 for no trash. */
    readonly trashDays: number;
    /** How long a resumable upload is kept after the last bytes that came. */
    readonly uploadExpiryMs: number;
  };
  /** Reading all files through: at most so many bytes a second, and by itself after so many days (0: never). */
  readonly scrub: { readonly bytesPerSecond: number; readonly days: number };
  readonly http: HttpConfig;
  readonly logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'silent';
  readonly metricsToken: string | undefined;
  readonly auditReads: boolean;
  /** Name of a crash point to die at; fault builds of the tests only, refused in production. */
  readonly failpoint: string | undefined;
  /** By how much the deadlines on store, blob store and KMS are longer than normal; above 1 in tests only. */
  readonly deadlineFactor: number;
  /** How many times as often periodic tasks come; above 1 in tests only. */
  readonly scheduleSpeed: number;
  /** Which secrets are not set but generated, by this start or an earlier one, and where they are. Said at start, never their values. */
  readonly generatedSecrets: readonly string[];
}

export type MasterKeyConfig =
  | { readonly home: 'local'; readonly rootKey: string }
  | (VaultConfig & { readonly home: 'transit'; readonly transitMount: string; readonly keyName: string })
  | (VaultConfig & { readonly home: 'kv'; readonly kvMount: string });

export const BLOB_STORES = ['filesystem', 's3', 'gridfs'] as const;
export type BlobStoreName = (typeof BLOB_STORES)[number];

export interface S3Config {
  /** Undefined for AWS itself. */
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** Undefined: what the machine has, as the role of an instance. */
  readonly keys: { readonly id: string; readonly secret: string } | undefined;
}

export interface VaultConfig {
  readonly address: string;
  readonly login: { readonly token: string } | { readonly roleId: string; readonly secretId: string };
  readonly namespace: string | undefined;
  readonly caCert: string | undefined;
}

/** The name may hold any characters: it is written into the header as a name, and never read as a list of addresses. */
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
      /** What one try may take, from the connection to the answer to the last line. */
      readonly timeoutMs: number;
      /** The name that EHLO says. */
      readonly clientName: string;
    };

/** What is limited by client address. */
export const RATE_LIMIT_NAMES = ['register', 'login', 'codes', 'refresh', 'links', 'tickets'] as const;
export type RateLimitName = (typeof RATE_LIMIT_NAMES)[number];

export interface HttpConfig {
  /** How clients' addresses stand in the log and in the audit log. */
  readonly logAddresses: 'full' | 'truncated' | 'off';
  readonly publicUrl: string;
  readonly trustedProxies: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly rateLimits: boolean;
  /** What one address may ask for. */
  readonly ratesPerMinute: Readonly<Record<RateLimitName, number>>;
  /** Networks of backends that speak for many: no limit by address counts for them. */
  readonly rateLimitExempt: readonly string[];
  /** Open connections, and bytes of bodies that are read into memory. */
  readonly connections: { readonly total: number; readonly perAddress: number };
  readonly bodyMemory: number;
  readonly docs: boolean;
}

/** The DI token of the configuration. */
export const CONFIG = Symbol('coffer:config');
