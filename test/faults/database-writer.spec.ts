import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel';
import { installationCollection, type InstallationDoc } from '../../src/installation';
import type { Collection, CollectionDefinition, Doc, Store } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import { MongoStore } from '../../src/store/mongo';
import { type UserDoc, usersCollection } from '../../src/users';
import { newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { type Bao, describeWithParts, type Secantus, startOpenBao, startSecantus } from '../support/parts';
import { vaultAndMongo } from '../support/profiles';
import { type Service, startService } from '../support/service';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const installations: CollectionDefinition<InstallationDoc> = { ...installationCollection, authenticated: false };
const users: CollectionDefinition<UserDoc> = { ...usersCollection, authenticated: false };

/** Somebody who may change every document of the database and has nothing else. */
function playsTheFirstStartAgain(setUp: () => Promise<Installed>): void {
  let installed: Installed;
  let service: Service;
  let admin: Client;
  beforeAll(async () => {
    installed = await setUp();
    service = await startService({ env: installed.env });
    admin = (await signUp(new Client(service.url), newPerson('admin'))).client;
    await signUp(new Client(service.url));
  }, 120_000);
  afterAll(async () => {
    await service.dispose();
    await installed.close();
  });

  async function inDatabase<T>(act: (store: Store) => Promise<T>): Promise<T> {
    const store = installed.database(service);
    try {
      return await act(store);
    } finally {
      await store.close();
    }
  }

  it.each([
    ['with its data folder', false],
    ['with an empty data folder, but for the keyring and secrets', true],
  ])('is refused a start %s, and the installation is what it was once the rows are back', async (_, emptied) => {
    await service.stop();
    const [document, rows] = await inDatabase(async (store) => {
      const found = (await store.collection(installations).find('_id', 'installation'))!;
      const { first_administrator: _first, ...freed } = found;
      await store.collection(installations).replace({ ...freed, state: 'opening' });
      const { items } = await store.collection(users).list('_id', [], { limit: 100 });
      for (const { _id } of items) await store.collection(users).remove(_id);
      return [found, items] as const;
    });
    if (emptied)
      for (const name of ['installation.json', 'installation.ready.json', 'installation.first_administrator.json'])
        await rm(join(service.dataDir, name), { force: true });

    await expect(service.restart()).rejects.toThrow('put back to a first start');

    await inDatabase(async (store) => {
      await putBack(store.collection(installations), document);
      for (const row of rows) await putBack(store.collection(users), row);
    });
    await service.restart();
    expectStatus(await admin.get('/me'), 200);
    const late = (await signUp(new Client(service.url))).client;
    expect((await late.get('/me')).json).toMatchObject({ role: 'user' });
  });
}

/** With the revision that its seal names. */
async function putBack<T extends Doc>(rows: Collection<T>, row: T): Promise<void> {
  await rows.remove(row._id);
  await rows.insert(row);
  for (let rev = 1; rev < row.rev; rev += 1) await rows.replace({ ...row, rev });
}

interface Installed {
  readonly env: Readonly<Record<string, string>>;
  readonly database: (service: Service) => Store;
  readonly close: () => Promise<void>;
}

describe('Who can write to the database of an installation on the embedded store and the local keyring', () => {
  playsTheFirstStartAgain(() =>
    Promise.resolve({
      env: {},
      database: ({ dataDir }) => new EmbeddedStore(join(dataDir, 'store'), new SystemClock()),
      close: () => Promise.resolve(),
    }),
  );
});

for (const home of ['transit', 'kv'] as const) {
  describeWithParts(['secantus', 'openbao'], `Who can write to the database of one on MongoDB and ${home}`, () => {
    playsTheFirstStartAgain(async () => {
      const [bao, secantus]: [Bao, Secantus] = await Promise.all([startOpenBao(), startSecantus()]);
      const dbName = 'written';
      return {
        env: { ...vaultAndMongo(bao, secantus, dbName), MASTER_KEY: home },
        database: () => new MongoStore({ url: secantus.url, dbName }),
        close: async () => {
          await Promise.all([bao.stop(), secantus.stop()]);
        },
      };
    });
  });
}
