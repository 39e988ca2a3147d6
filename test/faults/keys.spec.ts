import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { plaintext, SystemClock } from '../../src/kernel';
import { MasterKeyRow } from '../../src/keys/master-key';
import { LocalMasterKey } from '../../src/keys/master-key/local';
import { openKeys, SystemKeys } from '../../src/keys/system-keys';
import { AuthenticatedStore } from '../../src/store';
import { EmbeddedStore } from '../../src/store/embedded';
import {
  type KeyFixtures,
  moveMasterKey,
  openKeyFixtures,
  rewrapAll,
  ROOT_KEY,
  temporaryFolder,
} from '../support/keys';
import { startProcess } from '../support/processes';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const support = join(__dirname, '../support');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(() => {
  Logger.overrideLogger(false);
});
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

/** Runs one act in a process of its own, which must die at the crash point. */
async function killed(act: string, failpoint: string): Promise<string> {
  const args = ['--require', join(support, 'typescript-hook.cjs'), join(support, 'keys-process.ts')];
  const program = startProcess(process.execPath, [...args, folder.path, act, failpoint]);
  const code = await program.exited;
  if (code !== null) throw new Error(`it ended with ${code} and was not killed: ${program.output()}`);
  return program.output();
}

describe('A kill while a user key is made', () => {
  const recovered = async (): Promise<string> => {
    const fixtures = await openKeyFixtures(folder.path);
    try {
      await fixtures.userKeys.create('alice', 'alice');
      const place = { ownerId: 'alice', resourceType: 'record', resourceId: 'r', field: 'value' };
      return await fixtures.sealer.with('alice', (keys) =>
        keys.open('records', place, keys.seal('records', place, plaintext(Buffer.from('x')))).toString(),
      );
    } finally {
      await fixtures.close();
    }
  };

  it.each(['user-key.wrapped', 'user-key.pending-stored', 'user-key.before-active'])(
    'at %s leaves an owner who can be registered again',
    async (failpoint) => {
      await killed('create', failpoint);
      expect(await recovered()).toBe('x');
    },
  );

  it.each(['user-key.pending-stored', 'user-key.wrapped-again', 'user-key.before-active'])(
    'at %s, with a rotation in between, leaves an owner who can be registered again',
    async (failpoint) => {
      await killed('create while the master key moves', failpoint);
      expect(await recovered()).toBe('x');
    },
  );

  it('leaves nothing that is active, and a pending row that the sweeper takes', async () => {
    await killed('create', 'user-key.before-active');
    const fixtures = await openKeyFixtures(folder.path);
    await expect(fixtures.sealer.with('alice', () => 1)).rejects.toMatchObject({ code: 'not_found' });
    expect(await fixtures.sweeper.sweep(-1000)).toBe(1);
    await fixtures.close();
  });
});

describe('A kill between other writes of keys', () => {
  let fixtures: KeyFixtures;

  beforeEach(async () => {
    fixtures = await openKeyFixtures(folder.path, { cacheMs: 0 });
    for (const owner of ['alice', 'bob', 'carol']) await fixtures.userKeys.create(owner, owner);
  });
  afterEach(() => fixtures.close());

  const index = (owner: string): Promise<string> => fixtures.sealer.with(owner, (keys) => keys.nameIndex('name'));

  it('right after an erase leaves it erased', async () => {
    await killed('destroy', 'user-key.erased');
    await expect(index('alice')).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each(['rotation.user-keys-rewrapped', 'rotation.user-keys-written'])(
    'at %s loses no key, and the next batches end the work',
    async (failpoint) => {
      const before = await Promise.all(['alice', 'bob', 'carol'].map(index));
      const target = await moveMasterKey(fixtures);
      await killed('rewrap', failpoint);
      expect(await Promise.all(['alice', 'bob', 'carol'].map(index))).toEqual(before);
      await rewrapAll(fixtures, target, 2);
      expect(await Promise.all(['alice', 'bob', 'carol'].map(index))).toEqual(before);
    },
  );

  it('after a pending row was stored never shows it as active', async () => {
    expect(await killed('insert', 'sealer.pending-stored')).toBe('pending\n');
  });

  it('after a row was sealed again, since the user key moved, never shows it as active', async () => {
    expect(await killed('insert while the user key moves', 'sealer.sealed-again')).toBe('pending\nagain\n');
  });

  it('after a row became active, and before its writer was answered, leaves it active', async () => {
    expect(await killed('insert', 'sealer.activated')).toBe('pending\nactivated\n');
  });
});

describe('A kill during the first start', () => {
  const startAgain = async (fresh = true): Promise<string[]> => {
    const engine = new EmbeddedStore(join(folder.path, 'system'), new SystemClock());
    const masterKey = new LocalMasterKey(folder.path, ROOT_KEY);
    const systemKeys = new SystemKeys(engine, masterKey);
    const row = new MasterKeyRow(new AuthenticatedStore(engine, systemKeys, { onForgedRow: () => undefined }));
    try {
      await openKeys({ masterKey, systemKeys, row }, fresh);
      return [systemKeys.integrity, systemKeys.oneTimeCodes, systemKeys.receipts].map((key) =>
        key.bytes.toString('hex'),
      );
    } finally {
      await engine.close();
    }
  };

  it.each([
    'keyring.written',
    'keyring.decided',
    'keyring.drafts-removed',
    'keyring.settled',
    'system-keys.one-stored',
    'system-keys.one-stored:2',
    'system-keys.first-start-wrapped',
    'system-keys.rewrapped',
    'system-keys.rewrapped:2',
  ])('at %s leaves a start that ends, and the same keys from then on', async (failpoint) => {
    await killed('fresh start', failpoint);
    expect(await startAgain()).toEqual(await startAgain());
  });

  it('of a release that brings a system key, at system-keys.pending-stored, leaves a start that ends with that key', async () => {
    await killed('start after an upgrade', 'system-keys.pending-stored');
    expect(await startAgain(false)).toEqual(await startAgain(false));
  });
});
