import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, SecretBytes, SystemClock, SystemSecrets } from '../../src/kernel';
import { AuthenticatedStore, type Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';

/** Keys that several processes of one test share. */
export class FixedSecrets extends SystemSecrets {
  readonly integrity = new SecretBytes(Buffer.alloc(32, 1));
  readonly oneTimeCodes = new SecretBytes(Buffer.alloc(32, 2));
  readonly receipts = new SecretBytes(Buffer.alloc(32, 3));
}

export interface OpenStore {
  readonly store: Store;
  /** The same rows without their seals: what somebody with write access to the database sees. */
  readonly engine: Store;
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * The embedded store with its seals, in a folder that may be shared with other processes of the
 * test.
 */
export function openAuthenticatedStore(folder: string, clock: Clock = new SystemClock()): OpenStore {
  const engine = new EmbeddedStore(folder, clock);
  const store = new AuthenticatedStore(engine, new FixedSecrets(), { onForgedRow: () => undefined });
  return { store, engine, folder, close: () => store.close() };
}

export async function temporaryAuthenticatedStore(clock?: Clock): Promise<OpenStore> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-store-'));
  const open = openAuthenticatedStore(folder, clock);
  const close = async (): Promise<void> => {
    await open.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { ...open, close };
}
