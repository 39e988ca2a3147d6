import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type Connection } from 'mongoose';
import { MongoStore } from '../../src/store/mongo';
import { type KeyFixture, openKeyFixture } from '../support/key-fixture';
import { describeWithPart, type Secantus, startSecantus } from '../support/parts';

const DB = 'planted';

describeWithPart('secantus', 'Rows of user keys that somebody planted in MongoDB', () => {
  let server: Secantus;
  let beside: Connection;
  let folder: string;
  let fixture: KeyFixture;

  beforeAll(async () => {
    server = await startSecantus();
    beside = await createConnection(server.url, { dbName: DB }).asPromise();
    folder = await mkdtemp(join(tmpdir(), 'coffer-planted-'));
    fixture = await openKeyFixture(folder, { engine: new MongoStore({ url: server.url, dbName: DB }), cacheMs: 0 });
  }, 60_000);
  afterAll(async () => {
    await fixture.close();
    await beside.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('stop no rotation, and are named by it and by a retire', async () => {
    await fixture.userKeys.create('a', 'a');
    const rows = beside.collection<{ _id: string }>('user_keys');
    await rows.insertMany(
      Array.from({ length: 201 }, (_, n) => ({ _id: `0-${n}`, quarantined: false, master_version: null })),
    );
    const { id } = await fixture.rotations.rotateMasterKey('admin');
    for (let state = 'running'; state !== 'done';) {
      const now = await fixture.rotations.find(id);
      expect(now.fault).toBeUndefined();
      state = now.state;
    }
    expect(await fixture.rotations.find(id)).toMatchObject({ targetVersion: 2, total: 1, done: 1, failed: 201 });
    const named = { code: 'integrity_failed', extensions: { count: 201 }, detail: expect.stringContaining('0-0, ') };
    await expect(fixture.retirement.retire(1)).rejects.toMatchObject(named);
    await rows.deleteMany({ master_version: null });
    await fixture.retirement.retire(1);
    await fixture.sealer.with('a', (keys) => keys.nameIndex('x'));
  }, 60_000);
});
