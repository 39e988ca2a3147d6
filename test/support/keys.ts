import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, SystemClock } from '../../src/kernel';
import { type MasterKey, MasterKeyRow } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import {
  KeyCache,
  OrphanedWraps,
  UserKeyService,
  WrapStore,
  userKeysCollection,
  UserKeyRewrap,
  UserKeyRotator,
  Sealer,
  UserKeySweeper,
} from '../../src/keys/user-keys';
import { RowWrapStore } from './row-wrap-store';
import type { Position, Store } from '../../src/store';
import { openAuthenticatedStore } from './sealed-store';

export const ROOT_KEY = 'a root key of thirty-two characters';

export interface KeysOptions {
  readonly masterKey?: MasterKey;
  readonly clock?: Clock;
  readonly cacheMs?: number;
  /** Where the wraps lie; in the rows unless told. Some homes need the store. */
  readonly home?: WrapStore | ((store: Store, masterKey: MasterKey) => Promise<WrapStore>);
}

/**
 * The key fixtures as one process of the service has them, over the embedded store and a local
 * keyring.
 */
export async function openKeyFixtures(folder: string, options: KeysOptions = {}) {
  const clock = options.clock ?? new SystemClock();
  const opened = openAuthenticatedStore(join(folder, 'store'), clock);
  const { store, engine } = opened;
  const masterKey = options.masterKey ?? new LocalMasterKey(folder, ROOT_KEY);
  await masterKey.open();
  const row = new MasterKeyRow(store);
  const rows = store.collection(userKeysCollection);
  await store.prepare();
  await row.create((await masterKey.state()).current, masterKey.home);
  const cache = new KeyCache({ capacity: 100, maxAgeMs: options.cacheMs ?? 300_000 });
  const home =
    typeof options.home === 'function' ? await options.home(store, masterKey) : (options.home ?? new RowWrapStore());
  const userKeys = new UserKeyService(store, masterKey, row, cache, clock, home);
  const sealer = new Sealer(store, masterKey, cache, home);
  const rewrapper = new UserKeyRewrap(store, masterKey, home);
  const rotator = new UserKeyRotator(store, masterKey, row, clock, home);
  const strays = new OrphanedWraps(store, home);
  const sweeper = new UserKeySweeper(store, clock, home);
  const closeAll = async (): Promise<void> => {
    cache.clear();
    await masterKey.close();
    await opened.close();
  };
  return {
    ...{ store, engine, home, masterKey, row, rows, cache, userKeys, sealer },
    ...{ rewrapper, rotator, strays, sweeper },
    close: closeAll,
  };
}

export type KeyFixtures = Awaited<ReturnType<typeof openKeyFixtures>>;

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'coffer-keys-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/**
 * A local master key that lets a test act at the moment between a wrap and what is done with it.
 */
export class PausedMasterKey extends LocalMasterKey {
  afterWrap: () => Promise<unknown> = () => Promise.resolve();

  override async wrap(...args: Parameters<MasterKey['wrap']>): ReturnType<MasterKey['wrap']> {
    const wrapped = await super.wrap(...args);
    const act = this.afterWrap;
    this.afterWrap = () => Promise.resolve();
    await act();
    return wrapped;
  }
}

/** Does `act` once, between the next wrap of this master key and what its caller does with it. */
export function afterNextWrap(masterKey: MasterKey, act: () => Promise<unknown>): void {
  const wrap = masterKey.wrap.bind(masterKey);
  masterKey.wrap = async (...args) => {
    masterKey.wrap = wrap;
    const wrapped = await wrap(...args);
    await act();
    return wrapped;
  };
}

/**
 * Walks the user keys in batches of `limit` until none is due. Resolves with the number of rows
 * that were written.
 */
export async function rewrapAll(
  { rewrapper }: Pick<KeyFixtures, 'rewrapper'>,
  target: number,
  limit?: number,
): Promise<number> {
  let done = 0;
  for (let attempted = 1; attempted > 0;) {
    attempted = 0;
    let after: Position | undefined;
    do {
      const batch = await rewrapper.rewrapBatch(target, limit, { after });
      attempted += batch.attempted;
      done += batch.done;
      after = batch.next;
    } while (after !== undefined);
  }
  return done;
}

/** Makes a new master key version current, as a rotation does before it wraps anything again. */
export async function moveMasterKey({ masterKey, row }: Pick<KeyFixtures, 'masterKey' | 'row'>): Promise<number> {
  const seen = await row.read();
  const target = await masterKey.rotate(seen.current);
  await row.advance(seen, target);
  return target;
}
