import { DynamicModule, Global, Inject, Module, OnModuleInit, Provider } from '@nestjs/common';
import { join } from 'node:path';
import { AccountLifecycleModule } from './account-lifecycle';
import { AuditModule } from './audit';
import { AuthModule, FactorsUserData, SessionsUserData } from './auth';
import { BlobStore } from './blobs';
import { FilesystemBlobStore } from './blobs/filesystem';
import { BlobRelocations, RelocatableBlobStore } from './blobs/relocation';
import { AccountNames } from './bootstrap/adapters/account-names';
import { OwnerResponseSealer } from './bootstrap/adapters/answer-encryption';
import { InstallationBlobRelocations } from './bootstrap/adapters/blob-location';
import { ProcessFigures } from './bootstrap/adapters/process-figures';
import { readinessOf } from './bootstrap/adapters/readiness';
import { StoreCopy } from './bootstrap/adapters/store-copy';
import { TamperedRows } from './bootstrap/adapters/tamper-reports';
import { InstallationTasks, RegistrationSweep } from './bootstrap/scheduled-tasks';
import { OpenedKeys, Startup } from './bootstrap/startup';
import { BlobStoreName, CONFIG, Config, MasterKeyConfig } from './config';
import { sha256Stream } from './crypto';
import { FilesModule, FilesUserData, UploadsUserData } from './files';
import { HealthModule } from './health';
import { ResponseSealer, HttpModule, ResponsesUserData } from './http';
import { JobsModule } from './jobs';
import { AuditSink, Clock, Readiness, SECOND, SystemClock, SystemSecrets, UserDataHandler } from './kernel';
import { KeyManagementModule } from './key-management';
import { MasterKey, RoutedMasterKey, MasterKeyRow } from './keys/master-key';
import { KvMasterKey } from './keys/master-key/kv';
import { LocalMasterKey } from './keys/master-key/local';
import { TransitMasterKey } from './keys/master-key/transit';
import { openVault, VaultSession } from './vault-client';
import { UserDataHandlers, RotationModule } from './keys/rotation';
import { SystemKeys } from './keys/system-keys';
import { WrapStore, UserKeysModule } from './keys/user-keys';
import { OwnerNames, RoutedWrapStore } from './keys/user-keys/wrap-store';
import { VaultWrapStore } from './keys/user-keys/wrap-store/in-vault';
import { CountedMailer, Mailer, OutboxMailer, SmtpMailer } from './mail';
import { Metrics, ObservabilityModule } from './observability';
import { RecordsUserData, SensitiveDataModule } from './sensitive-data';
import { LinksUserData } from './links';
import { ApiKeysUserData, BackendsUserData, ServiceAccountsModule } from './service-accounts';
import { SharingModule, SharingUserData } from './sharing';
import { AuthenticatedStore, Store, requireHandlers } from './store';
import { EmbeddedStore } from './store/embedded';
import { UserAdministrationModule } from './user-administration';
import { UsersModule } from './users';

/** The store below its row seals: for the system keys alone, which open the seals. */
const ENGINE = Symbol('coffer:engine');
/** The session with Vault; undefined where nothing is kept there. */
const VAULT = Symbol('coffer:vault');

/**
 * All handlers of the data of users. Sessions first: an erase ends them before anything else. The
 * rows of the owners themselves last.
 */
const USER_DATA_HANDLERS = [
  SessionsUserData,
  ApiKeysUserData,
  FactorsUserData,
  RecordsUserData,
  LinksUserData,
  SharingUserData,
  UploadsUserData,
  FilesUserData,
  ResponsesUserData,
  BackendsUserData,
];

const USER_OWNED = Symbol('coffer:user-owned');

const userOwned: Provider = {
  provide: USER_OWNED,
  inject: USER_DATA_HANDLERS,
  useFactory: (...handlers: UserDataHandler[]) => handlers,
};

/**
 * The drivers of MongoDB and S3 are loaded where they are configured: they take a third of the time
 * of a start.
 */
async function engineOf({ store, dataDir }: Config, clock: Clock): Promise<Store> {
  if (store.engine !== 'mongo') return new EmbeddedStore(join(dataDir, 'store'), clock);
  const { MongoStore } = await import('./store/mongo/index.js');
  return new MongoStore(store);
}

/** What a process keeps in Vault shares one login. */
function vaultOf({ masterKey, otherMasterKeys, userKeys }: Config, metrics: Metrics): VaultSession | undefined {
  if (userKeys.vault !== undefined) return openVault(userKeys.vault, metrics.vault);
  for (const home of [masterKey, ...otherMasterKeys]) if (home.home !== 'local') return openVault(home, metrics.vault);
  return undefined;
}

function masterKeyOf(home: MasterKeyConfig, { userKeys, dataDir }: Config, vault: VaultSession | undefined): MasterKey {
  switch (home.home) {
    case 'local':
      return new LocalMasterKey(dataDir, home.rootKey);
    case 'kv':
      return new KvMasterKey(home, { maxAgeMs: userKeys.cacheSeconds * SECOND }, vault);
    case 'transit':
      return new TransitMasterKey(home, vault);
  }
}

/**
 * That of MASTER_KEY first, then those that the environment describes as well: between them the key
 * can move while this process serves.
 */
const masterKeysOf = (config: Config, vault: VaultSession | undefined): RoutedMasterKey =>
  new RoutedMasterKey([
    masterKeyOf(config.masterKey, config, vault),
    ...config.otherMasterKeys.map((home) => masterKeyOf(home, config, vault)),
  ]);

const userKeyHomesOf = (
  { userKeys: { vault } }: Config,
  store: Store,
  names: OwnerNames,
  masterKey: MasterKey,
  session: VaultSession | undefined,
): RoutedWrapStore =>
  new RoutedWrapStore(store, vault && new VaultWrapStore(session ?? openVault(vault), vault.kvMount), names, masterKey);

function mailerOf({ mail, dataDir }: Config, clock: Clock, metrics: Metrics): Mailer {
  const mailer =
    mail.kind === 'smtp' ? new SmtpMailer(mail) : new OutboxMailer(join(dataDir, 'outbox'), mail.from, clock);
  return new CountedMailer(mailer, metrics);
}

/**
 * All blob stores that this process is configured for. The installation document says which of them
 * holds the blobs.
 */
async function blobStoresOf(config: Config, engine: Store): Promise<ReadonlyMap<string, BlobStore>> {
  const stores = new Map<BlobStoreName, BlobStore>();
  stores.set('filesystem', new FilesystemBlobStore(join(config.dataDir, 'blobs')));
  const s3 = await s3Of(config);
  if (s3 !== undefined) stores.set('s3', s3);
  const gridfs = await gridfsOf(config, engine);
  if (gridfs !== undefined) stores.set('gridfs', gridfs);
  return stores;
}

async function s3Of({ blobs, production }: Config): Promise<BlobStore | undefined> {
  if (blobs.s3 === undefined) return undefined;
  const { S3BlobStore } = await import('./blobs/s3/index.js');
  return new S3BlobStore(blobs.s3, { createBucket: !production });
}

async function gridfsOf({ store }: Config, engine: Store): Promise<BlobStore | undefined> {
  if (store.engine !== 'mongo') return undefined;
  const [{ MongoStore }, { GridFsBlobStore }] = await Promise.all([
    import('./store/mongo/index.js'),
    import('./blobs/gridfs/index.js'),
  ]);
  return engine instanceof MongoStore ? new GridFsBlobStore(engine.connection) : undefined;
}

const adapters: readonly Provider[] = [
  { provide: Clock, useClass: SystemClock },
  { provide: ENGINE, inject: [CONFIG, Clock], useFactory: engineOf },
  { provide: VAULT, inject: [CONFIG, Metrics], useFactory: vaultOf },
  { provide: RoutedMasterKey, inject: [CONFIG, { token: VAULT, optional: true }], useFactory: masterKeysOf },
  { provide: MasterKey, useExisting: RoutedMasterKey },
  { provide: OwnerNames, useClass: AccountNames },
  {
    provide: RoutedWrapStore,
    inject: [CONFIG, Store, OwnerNames, MasterKey, { token: VAULT, optional: true }],
    useFactory: userKeyHomesOf,
  },
  { provide: WrapStore, useExisting: RoutedWrapStore },
  { provide: Mailer, inject: [CONFIG, Clock, Metrics], useFactory: mailerOf },
  { provide: BlobRelocations, useClass: InstallationBlobRelocations },
  {
    provide: RelocatableBlobStore,
    inject: [CONFIG, ENGINE, BlobRelocations],
    useFactory: async (config: Config, engine: Store, plans: BlobRelocations) =>
      new RelocatableBlobStore(await blobStoresOf(config, engine), plans, sha256Stream),
  },
  { provide: BlobStore, useExisting: RelocatableBlobStore },
  {
    provide: SystemKeys,
    inject: [ENGINE, MasterKey],
    useFactory: (engine: Store, masterKey: MasterKey) => new SystemKeys(engine, masterKey),
  },
  { provide: SystemSecrets, useExisting: SystemKeys },
  {
    provide: Store,
    inject: [ENGINE, SystemSecrets, TamperedRows],
    useFactory: (engine: Store, secrets: SystemSecrets, forged: TamperedRows) =>
      new AuthenticatedStore(engine, secrets, { onForgedRow: forged.report, onCollection: forged.watch }),
  },
  {
    provide: StoreCopy,
    inject: [ENGINE],
    useFactory: (engine: Store) =>
      new StoreCopy(engine instanceof EmbeddedStore ? (folder) => engine.copyTo(folder) : undefined),
  },
  {
    provide: Readiness,
    inject: [Store, MasterKey, WrapStore, BlobStore],
    useFactory: readinessOf,
  },
];

/**
 * Parts in place of those that the configuration names, for tests. What is absent is as in the
 * service.
 */
export interface CoreOverrides {
  readonly clock?: Clock | undefined;
  /** The engine below the row MACs. */
  readonly store?: Store | undefined;
  /** The backends of the master key, that of MASTER_KEY first. */
  readonly masterKeys?: readonly [MasterKey, ...MasterKey[]] | undefined;
  /** Stands between the application and its blob store. */
  readonly blobs?: ((real: BlobStore) => BlobStore) | undefined;
}

/** Nest takes the last provider of a token. */
const replacements = ({ clock, store, masterKeys, blobs }: CoreOverrides): readonly Provider[] => [
  ...(clock === undefined ? [] : [{ provide: Clock, useValue: clock }]),
  ...(store === undefined ? [] : [{ provide: ENGINE, useValue: store }]),
  ...(masterKeys === undefined ? [] : [{ provide: RoutedMasterKey, useValue: new RoutedMasterKey(masterKeys) }]),
  ...(blobs === undefined ? [] : [{ provide: BlobStore, inject: [RelocatableBlobStore], useFactory: blobs }]),
];

/** The ports that every module injects, with the adapters that the configuration chose. */
@Global()
@Module({})
class CoreModule {
  static forConfig(config: Config, overrides: CoreOverrides): DynamicModule {
    const configured = { provide: CONFIG, useValue: config };
    const masterKeyRow = {
      provide: MasterKeyRow,
      inject: [Store],
      useFactory: (store: Store) => new MasterKeyRow(store),
    };
    const answers = { provide: ResponseSealer, useClass: OwnerResponseSealer };
    const tokens = [
      CONFIG,
      Clock,
      MasterKey,
      RoutedMasterKey,
      MasterKeyRow,
      OwnerNames,
      WrapStore,
      RoutedWrapStore,
      Mailer,
      BlobStore,
      BlobRelocations,
      RelocatableBlobStore,
      Readiness,
      Store,
      StoreCopy,
      SystemKeys,
      SystemSecrets,
    ];
    return {
      module: CoreModule,
      imports: [UserKeysModule],
      providers: [configured, TamperedRows, masterKeyRow, answers, ...adapters, ...replacements(overrides)],
      exports: [...tokens, TamperedRows, ResponseSealer, UserKeysModule],
    };
  }
}

/** The composition root: nothing else knows which adapters there are. */
@Module({})
export class AppModule implements OnModuleInit {
  constructor(
    private readonly forged: TamperedRows,
    private readonly audit: AuditSink,
    private readonly handlers: UserDataHandlers,
    @Inject(USER_OWNED) private readonly owned: readonly UserDataHandler[],
    private readonly store: Store,
  ) {}

  static forConfig(config: Config, overrides: CoreOverrides = {}): DynamicModule {
    const modules = [
      ObservabilityModule.forRoot(config.logLevel),
      CoreModule.forConfig(config, overrides),
      HttpModule,
      AuditModule,
      JobsModule,
      RotationModule,
    ];
    const data = [SensitiveDataModule, SharingModule, FilesModule];
    const features = [
      UsersModule,
      AuthModule,
      UserAdministrationModule,
      ServiceAccountsModule,
      ...data,
      KeyManagementModule,
      HealthModule,
    ];
    const lifecycle = AccountLifecycleModule.over({
      imports: [AuthModule, ServiceAccountsModule, ...data, HttpModule],
      handlers: USER_DATA_HANDLERS,
    });
    return {
      module: AppModule,
      imports: [...modules, ...features, lifecycle],
      providers: [OpenedKeys, RegistrationSweep, Startup, InstallationTasks, ProcessFigures, userOwned],
    };
  }

  onModuleInit(): void {
    this.forged.connect(this.audit);
    requireHandlers(this.store.definitions, this.owned);
    this.handlers.connect(this.owned);
  }
}
