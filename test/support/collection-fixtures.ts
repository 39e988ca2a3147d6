import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel';
import { AuthenticatedStore, type Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { MongoStore } from '../../src/store/mongo';
import type { CollectionFixture } from '../contract/collection/things';
import { startSecantus } from './parts';
import { FixedSecrets } from './sealed-store';

interface Options {
  readonly authenticated: boolean;
}

export async function temporaryEmbedded({ authenticated }: Options): Promise<CollectionFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-collection-'));
  const open = (): Store => new EmbeddedStore(folder, new SystemClock());
  return fixture(open, authenticated, () => rm(folder, { recursive: true, force: true }));
}

export async function temporaryMongo({ authenticated }: Options): Promise<CollectionFixture> {
  const server = await startSecantus();
  const open = (): Store => new MongoStore({ url: server.url, dbName: 'contract' });
  return fixture(open, authenticated, () => server.stop());
}

function fixture(open: () => Store, authenticated: boolean, remove: () => Promise<void>): CollectionFixture {
  const engines: Store[] = [];
  const engine = (): Store => {
    const opened = open();
    engines.push(opened);
    return opened;
  };
  const over = (raw: Store): Store =>
    authenticated
      ? new AuthenticatedStore(raw, new FixedSecrets(), { onForgedRow: (name, id) => reportForgery(name, id) })
      : raw;
  const first = engine();
  return {
    engine: first,
    store: over(first),
    another: () => Promise.resolve(over(engine())),
    close: async () => {
      await Promise.all(engines.map((each) => each.close()));
      await remove();
    },
  };
}

function reportForgery(collection: string, id: string): never {
  throw new Error(`nobody forged ${collection}/${id}`);
}
