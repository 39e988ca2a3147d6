import { type Config } from '../../src/config';
import { ChainedAuditSink } from '../../src/audit';
import { JobRunner } from '../../src/jobs';
import { type AuditSink, Readiness, SystemClock } from '../../src/kernel';
import { type MasterKey, RoutedMasterKey, MasterKeyRow } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { Retirement, MasterKeyRotationJob, RotationService, RotationTargets } from '../../src/keys/rotation';
import { openKeys, SystemKeys } from '../../src/keys/system-keys';
import { Sealer, UserKeyRewrap, UserKeyRotator, UserKeyService, type WrapStore } from '../../src/keys/user-keys';
import { RowWrapStore } from './row-wrap-store';
import { KeyCache } from '../../src/keys/user-keys/key-cache';
import { AuthenticatedStore, type Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';

/**
 * The fixtures of keys, jobs and audit in this process, put together as app.module does it, without
 * HTTP.
 */
export interface KeyFixture {
  readonly engine: Store;
  readonly store: Store;
  readonly masterKey: RoutedMasterKey;
  readonly row: MasterKeyRow;
  readonly systemKeys: SystemKeys;
  readonly userKeys: UserKeyService;
  readonly home: WrapStore;
  readonly sealer: Sealer;
  readonly rewrapper: UserKeyRewrap;
  readonly cache: KeyCache;
  readonly audit: AuditSink;
  readonly jobs: JobRunner;
  readonly rotations: RotationService;
  readonly retirement: Retirement;
  close(): Promise<void>;
}

export interface KeyHouseParts {
  readonly masterKey?: MasterKey;
  /** Further homes, to and from which the master key can move. */
  readonly otherHomes?: readonly MasterKey[];
  readonly engine?: Store;
  /** Default 5 minutes; 0 makes each read unwrap. */
  readonly cacheMs?: number;
  /** Where the wraps lie; in the rows unless told. */
  readonly home?: WrapStore;
}

export async function openKeyFixture(folder: string, parts: KeyHouseParts = {}): Promise<KeyFixture> {
  const clock = new SystemClock();
  const engine = parts.engine ?? new EmbeddedStore(folder, clock);
  const masterKey = new RoutedMasterKey([
    parts.masterKey ?? new LocalMasterKey(folder, 'a root key of thirty-two characters'),
    ...(parts.otherHomes ?? []),
  ]);
  const systemKeys = new SystemKeys(engine, masterKey);
  const store = new AuthenticatedStore(engine, systemKeys, { onForgedRow: () => undefined });
  const row = new MasterKeyRow(store);
  const cache = new KeyCache({ capacity: 1000, maxAgeMs: parts.cacheMs ?? 300_000 });
  const audit = new ChainedAuditSink(store, clock, new Readiness(), { auditReads: true } as Config);
  const jobs = new JobRunner(store, clock);
  const home = parts.home ?? new RowWrapStore();
  const rewrapper = new UserKeyRewrap(store, masterKey, home);
  const userKeys = new UserKeyService(store, masterKey, row, cache, clock, home);
  const sealer = new Sealer(store, masterKey, cache, home);
  new MasterKeyRotationJob(
    jobs,
    new RotationTargets(masterKey, row, store),
    systemKeys,
    rewrapper,
    audit,
  ).onModuleInit();
  await store.prepare();
  masterKey.follow(['transit', 'kv', 'local'], async () => (systemKeys.openSeals ? row.find() : undefined));
  await openKeys({ masterKey, systemKeys, row }, true);
  const close = async (): Promise<void> => {
    await jobs.beforeApplicationShutdown();
    await audit.onApplicationShutdown();
    cache.clear();
    await masterKey.close();
    await store.close();
  };
  return {
    ...{ engine, store, masterKey, row, systemKeys, userKeys, home, sealer, rewrapper, cache, audit, jobs },
    rotations: new RotationService(jobs, new UserKeyRotator(store, masterKey, row, clock, home), clock),
    retirement: new Retirement(masterKey, row, systemKeys, rewrapper),
    close,
  };
}
