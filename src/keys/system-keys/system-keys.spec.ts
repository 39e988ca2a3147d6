import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT_KEY, temporaryFolder } from '../../../test/support/keys';
import { SecretBytes, StartupError, SystemClock } from '../../kernel';
import { AuthenticatedStore } from '../../store';
import { EmbeddedStore } from '../../store/embedded';
import { INSTALLATION, masterKeyCollection, MasterKeyRow, wrapContext } from '../master-key';
import { LocalMasterKey } from '../master-key/local';
import { openKeys, SystemKeys } from './system-keys';
import { systemKeysCollection } from './system-keys.collection';

/** What a process has at its start, before any key is open. */
function process(folder: string) {
  const engine = new EmbeddedStore(join(folder, 'store'), new SystemClock());
  const masterKey = new LocalMasterKey(folder, ROOT_KEY);
  const systemKeys = new SystemKeys(engine, masterKey);
  const row = new MasterKeyRow(new AuthenticatedStore(engine, systemKeys, { onForgedRow: () => undefined }));
  return { engine, masterKey, systemKeys, row, rows: engine.collection(systemKeysCollection) };
}

/** The row as somebody with write access to the database sees it. */
const unsealedMasterRows = { ...masterKeyCollection, authenticated: false };

describe('System keys', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let started: ReturnType<typeof process>[];

  beforeEach(async () => {
    folder = await temporaryFolder();
    started = [];
  });
  afterEach(async () => {
    await Promise.all(started.map(({ engine }) => engine.close()));
    await folder.remove();
  });

  const start = async (fresh: boolean): Promise<ReturnType<typeof process>> => {
    const made = process(folder.path);
    started.push(made);
    await openKeys(made, fresh);
    return made;
  };
  const bytes = ({ systemKeys }: ReturnType<typeof process>): string[] =>
    [systemKeys.integrity, systemKeys.oneTimeCodes, systemKeys.receipts].map((key) => key.bytes.toString('hex'));

  it('are made on a fresh installation and opened again at the next start', async () => {
    const first = await start(true);
    expect(new Set(bytes(first)).size).toBe(3);
    expect(bytes(await start(false))).toEqual(bytes(first));
  });

  it('are not served before they are open', () => {
    const closed = process(folder.path);
    started.push(closed);
    expect(() => closed.systemKeys.integrity).toThrow(expect.objectContaining({ code: 'kms_unavailable' }) as Error);
  });

  it('are the same for processes that make a fresh installation at the same time', async () => {
    const processes = await Promise.all([1, 2, 3, 4].map(() => start(true)));
    expect(new Set(processes.flatMap(bytes)).size).toBe(3);
  });

  it('that a crash left incomplete are completed on a fresh installation, and the first one stays', async () => {
    const first = await start(true);
    await first.rows.remove('one-time-codes');
    const second = await start(true);
    expect(bytes(second)[0]).toBe(bytes(first)[0]);
    expect(bytes(second)[1]).not.toBe(bytes(first)[1]);
  });

  it.each(['integrity', 'one-time-codes'])(
    'refuse the start of an installation where %s is missing, and make nothing',
    async (name) => {
      const first = await start(true);
      await first.rows.remove(name);
      await expect(start(false)).rejects.toThrow(StartupError);
      expect(await first.rows.find('_id', name)).toBeUndefined();
    },
  );

  describe('of which an older installation lacks the one for receipts', () => {
    const startWithout = async (change: (started: ReturnType<typeof process>) => Promise<unknown>) => {
      const first = await start(true);
      await first.rows.remove('receipts');
      await change(first);
      return first;
    };
    const pending = async ({ rows, masterKey }: ReturnType<typeof process>, version: number): Promise<void> => {
      const [other] = await masterKey.wrap(version, [
        { key: new SecretBytes(Buffer.alloc(32, 9)), context: wrapContext('receipts', INSTALLATION, 1) },
      ]);
      await rows.insert({ _id: 'receipts', state: 'pending', master_version: version, wrapped: other!.ciphertext });
    };

    it('get it at the next start, and keep it', async () => {
      const first = await startWithout(() => Promise.resolve());
      const second = await start(false);
      expect(bytes(second).slice(0, 2)).toEqual(bytes(first).slice(0, 2));
      expect(bytes(await start(false))).toEqual(bytes(second));
      expect(await second.rows.find('_id', 'receipts')).not.toHaveProperty('state');
    });

    it('get one, where several processes start at the same time', async () => {
      await startWithout(() => Promise.resolve());
      const processes = await Promise.all([1, 2, 3, 4].map(() => start(false)));
      expect(new Set(processes.flatMap(bytes)).size).toBe(3);
    });

    it('get it under the version that is current, from whoever finds the pending row of a dead process', async () => {
      await startWithout(async (first) => {
        await pending(first, 1);
        await first.row.advance(await first.row.read(), await first.masterKey.rotate(1));
      });
      const second = await start(false);
      expect(second.systemKeys.receipts.bytes.toString('hex')).toBe('09'.repeat(32));
      expect(await second.rows.find('_id', 'receipts')).toMatchObject({ master_version: 2 });
    });

    it('get another one where the pending row does not open any more', async () => {
      await startWithout(async ({ rows }) => {
        await rows.insert({ _id: 'receipts', state: 'pending', master_version: 1, wrapped: 'local:v1:AAAA' });
      });
      expect((await start(false)).systemKeys.receipts.bytes).toHaveLength(32);
    });

    it('are rotated without it', async () => {
      const first = await startWithout(() => Promise.resolve());
      expect(await first.systemKeys.rewrapAll(await first.masterKey.rotate(1))).toEqual({ done: 2, failed: [] });
    });
  });

  it('refuse the start where the active key for receipts does not open', async () => {
    const { rows } = await start(true);
    await rows.replace({ ...(await rows.find('_id', 'receipts'))!, wrapped: 'local:v1:AAAA' });
    await expect(start(false)).rejects.toThrow('does not open the system key receipts');
  });

  it('refuse the start of an installation where the master key row is missing', async () => {
    const first = await start(true);
    await first.engine.collection(unsealedMasterRows).remove('master');
    await expect(start(false)).rejects.toThrow('The master key row is missing');
  });

  it('refuse the start of an installation whose keyring is gone, and make no new one', async () => {
    await start(true);
    await rm(join(folder.path, 'keyring.json'));
    await expect(start(false)).rejects.toThrow('keyring.json is missing');
    expect(await readdir(folder.path)).toEqual(['store']);
  });

  it('refuse the start where another keyring was put in its place', async () => {
    await start(true);
    await rm(join(folder.path, 'keyring.json'));
    await expect(start(true)).rejects.toThrow('does not open the system key');
  });

  it('that were swapped in the database refuse the start', async () => {
    const { rows } = await start(true);
    const [one, two] = await Promise.all(['integrity', 'one-time-codes'].map((name) => rows.find('_id', name)));
    await rows.replace({ ...one!, wrapped: two!.wrapped });
    await expect(start(false)).rejects.toThrow('does not open the system key integrity');
  });

  it('that were changed in the database refuse the start', async () => {
    const { rows } = await start(true);
    await rows.replace({ ...(await rows.find('_id', 'integrity'))!, wrapped: 'local:v1:AAAA' });
    await expect(start(false)).rejects.toThrow(StartupError);
  });

  it('are wrapped again by a rotation, once, and stay what they are', async () => {
    const first = await start(true);
    const target = await first.masterKey.rotate(1);
    expect(await first.systemKeys.rewrapAll(target)).toEqual({ done: 3, failed: [] });
    expect(await first.systemKeys.rewrapAll(target)).toEqual({ done: 0, failed: [] });
    expect([await first.systemKeys.countWrappedBy(1), await first.systemKeys.countWrappedBy(2)]).toEqual([0, 3]);
    expect(bytes(await start(false))).toEqual(bytes(first));
  });

  it('are wrapped again once by processes that do it at the same time', async () => {
    const processes = [await start(true), await start(false)];
    const target = await processes[0]!.masterKey.rotate(1);
    const outcomes = await Promise.all(processes.map(({ systemKeys }) => systemKeys.rewrapAll(target)));
    expect(outcomes.reduce((sum, { done }) => sum + done, 0)).toBe(3);
  });

  it('that do not unwrap are named by a rotation and left as they are', async () => {
    const { rows, masterKey, systemKeys } = await start(true);
    const spoilt = await rows.replace({ ...(await rows.find('_id', 'integrity'))!, wrapped: 'local:v1:AAAA' });
    const target = await masterKey.rotate(1);
    expect(await systemKeys.rewrapAll(target)).toEqual({ done: 2, failed: ['integrity'] });
    expect(await rows.find('_id', 'integrity')).toEqual(spoilt);
  });

  it('tell a first start from a later one by the wrap of the integrity key, whatever its row says', async () => {
    const first = await start(true);
    expect(first.systemKeys.wasReady).toBe(false);
    expect(await first.rows.find('_id', 'integrity')).toMatchObject({ state: 'opening' });
    expect((await start(true)).systemKeys.wasReady).toBe(false);

    await Promise.all([first.systemKeys.endFirstStart(), (await start(true)).systemKeys.endFirstStart()]);
    const ended = (await first.rows.find('_id', 'integrity'))!;
    expect(ended).not.toHaveProperty('state');
    const later = await start(true);
    expect([later.systemKeys.wasReady, bytes(later)]).toEqual([true, bytes(first)]);
    await first.rows.replace({ ...ended, state: 'opening' });
    await expect(start(true)).rejects.toThrow('does not open the system key integrity');
  });

  it('say whether any of them is stored before the master key is open', async () => {
    const before = process(folder.path);
    started.push(before);
    expect(await before.systemKeys.areStored()).toBe(false);
    await start(true);
    expect(await before.systemKeys.areStored()).toBe(true);
  });
});

describe('The master key row', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let made: ReturnType<typeof process>;

  beforeEach(async () => {
    folder = await temporaryFolder();
    made = process(folder.path);
    await openKeys(made, true);
  });
  afterEach(async () => {
    await made.engine.close();
    await folder.remove();
  });

  it('names the version of the home at a fresh start', async () => {
    expect(await made.row.read()).toMatchObject({ current: 1, epoch: 1 });
  });

  it('is made once', async () => {
    await made.row.create(9, 'local');
    expect((await made.row.read()).current).toBe(1);
  });

  it('moves by compare-and-set, and the epoch with it', async () => {
    const seen = await made.row.read();
    expect(await made.row.advance(seen, 2)).toMatchObject({ current: 2, epoch: 2 });
    expect(await made.row.advance(seen, 3)).toBeUndefined();
    expect(await made.row.read()).toMatchObject({ current: 2, epoch: 2 });
  });

  it('never goes back', async () => {
    const seen = await made.row.advance(await made.row.read(), 5);
    expect(() => made.row.advance(seen!, 4)).toThrow(TypeError);
  });

  it('is not believed where it was changed in the database', async () => {
    const rows = made.engine.collection(unsealedMasterRows);
    await rows.replace({ ...(await rows.find('_id', 'master'))!, current: 7 });
    await expect(made.row.read()).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  it('that is gone is integrity_failed, never a first one', async () => {
    await made.engine.collection(unsealedMasterRows).remove('master');
    await expect(made.row.read()).rejects.toMatchObject({ code: 'integrity_failed' });
  });
});
