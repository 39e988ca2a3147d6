import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openKeyFixtures, type KeyFixtures, temporaryFolder } from '../../../test/support/keys';
import { RowWrapStore } from '../../../test/support/row-wrap-store';
import { ciphertext, type Ciphertext, plaintext } from '../../kernel';
import { Sealer } from './sealer';
import type { EncryptionContext, OwnerKeys, SealPurpose } from './user-key-handle';
import type { UserKeyDoc } from './user-keys.collection';

const place = (changes: Partial<EncryptionContext> = {}): EncryptionContext => ({
  ownerId: 'alice',
  resourceType: 'record',
  resourceId: 'r1',
  field: 'value',
  ...changes,
});
const value = plaintext(Buffer.from('4111111111111111'));

describe('The sealer', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let fixtures: KeyFixtures;

  beforeEach(async () => {
    folder = await temporaryFolder();
    fixtures = await openKeyFixtures(folder.path);
    await Promise.all([fixtures.userKeys.create('alice', 'alice'), fixtures.userKeys.create('bob', 'bob')]);
  });
  afterEach(async () => {
    await fixtures.close();
    await folder.remove();
  });

  const seal = (purpose: SealPurpose = 'records', at = place()): Promise<Ciphertext> =>
    fixtures.sealer.with('alice', (keys) => keys.seal(purpose, at, value));
  const open = (envelope: Ciphertext, purpose: SealPurpose = 'records', at = place(), ownerId = 'alice') =>
    fixtures.sealer.with(ownerId, (keys) => keys.open(purpose, at, envelope).toString());
  const refused = { code: 'decryption_failed' };

  it('opens what it sealed, from the cache and after a restart', async () => {
    const envelope = await seal();
    expect(await open(envelope)).toBe('4111111111111111');
    fixtures.cache.clear();
    expect(await open(envelope)).toBe('4111111111111111');
  });

  it('does not open one owner’s value with the key of another', async () => {
    const envelope = await seal();
    await expect(open(envelope, 'records', place({ ownerId: 'bob' }), 'bob')).rejects.toMatchObject(refused);
    await expect(open(envelope, 'records', place(), 'bob')).rejects.toMatchObject(refused);
  });

  it('does not open a value of one purpose for another', async () => {
    await expect(open(await seal('records'), 'secrets')).rejects.toMatchObject(refused);
    await expect(open(await seal('file-keys'), 'records')).rejects.toMatchObject(refused);
  });

  it.each([
    ['resource', { resourceId: 'r2' }],
    ['kind of resource', { resourceType: 'file' }],
    ['field', { field: 'name' }],
    ['owner in its place', { ownerId: 'bob' }],
    ['version of a file', { fileVersion: 1 }],
  ])('does not open a value that was moved to another %s', async (_, changes) => {
    await expect(open(await seal(), 'records', place(changes))).rejects.toMatchObject(refused);
  });

  it('does not tell versions of a file apart by what is missing: none is not 0', async () => {
    const envelope = await seal('records', place({ fileVersion: 0 }));
    await expect(open(envelope)).rejects.toMatchObject(refused);
  });

  it.each([0, 1, 2, 3, 14, 15, 30, 44])('refuses a flipped bit in byte %i', async (at) => {
    const envelope = ciphertext(Buffer.from(await seal()));
    envelope[at]! ^= 1;
    await expect(open(envelope)).rejects.toMatchObject(refused);
  });

  it.each([Buffer.alloc(0), Buffer.alloc(5), Buffer.alloc(100)])('refuses what is no envelope', async (bytes) => {
    await expect(open(ciphertext(bytes))).rejects.toMatchObject(refused);
  });

  it('seals nothing of one owner under the key of another: a mistake of the caller', async () => {
    await expect(fixtures.sealer.with('bob', (keys) => keys.seal('records', place(), value))).rejects.toThrow(
      TypeError,
    );
  });

  it('gives no keys that outlive the callback', async () => {
    const kept = await fixtures.sealer.with('alice', (keys) => keys);
    expect(() => kept.seal('records', place(), value)).toThrow(TypeError);
    expect(() => kept.nameIndex('name')).toThrow(TypeError);
  });

  it('finds names by an index that another owner’s names do not share', async () => {
    const index = (owner: string, name: string) => fixtures.sealer.with(owner, (keys) => keys.nameIndex(name));
    expect(await index('alice', 'tax.pdf')).toMatch(/^[0-9a-f]{64}$/);
    expect(await index('alice', 'tax.pdf')).toBe(await index('alice', 'tax.pdf'));
    expect(await index('alice', 'tax.pdf')).not.toBe(await index('alice', 'tax.PDF'));
    expect(await index('alice', 'tax.pdf')).not.toBe(await index('bob', 'tax.pdf'));
  });

  it('makes file keys that open again in their own place only', async () => {
    const at = place({ resourceType: 'file', field: 'key', fileVersion: 1 });
    const made = await fixtures.sealer.with('alice', (keys) => {
      const { key, envelope } = keys.newFileKey(at);
      return { hex: key.bytes.toString('hex'), envelope };
    });
    const reopen = (where: EncryptionContext) =>
      fixtures.sealer.with('alice', (keys) => keys.openFileKey(where, made.envelope).bytes.toString('hex'));
    expect(await reopen(at)).toBe(made.hex);
    const elsewhere = [{ fileVersion: 2 }, { resourceId: 'r2' }, { resourceType: 'record' }, { field: 'value' }];
    for (const changes of [...elsewhere, { ownerId: 'bob' }]) {
      await expect(reopen({ ...at, ...changes })).rejects.toMatchObject(refused);
    }
    const asBob = fixtures.sealer.with('bob', (keys) => keys.openFileKey({ ...at, ownerId: 'bob' }, made.envelope));
    await expect(asBob).rejects.toMatchObject(refused);
    const asRecord = fixtures.sealer.with('alice', (keys) => keys.open('records', at, made.envelope));
    await expect(asRecord).rejects.toMatchObject(refused);
  });

  it('opens nothing with the version in an envelope changed to another one that the owner has', async () => {
    const old = await seal();
    await fixtures.rotator.advance('alice', 1);
    const [moved, fresh] = [ciphertext(Buffer.from(old)), await seal()];
    moved.writeUInt16BE(2, 1);
    fresh.writeUInt16BE(1, 1);
    for (const envelope of [moved, fresh]) await expect(open(envelope)).rejects.toMatchObject(refused);
    expect(await open(old)).toBe('4111111111111111');
  });

  it('does not open a key row in which the wraps of two versions changed places, even under a valid seal', async () => {
    await fixtures.rotator.advance('alice', 1);
    const row = (await fixtures.rows.find('_id', 'alice'))!;
    const [first, second] = row.versions;
    const swapped = [
      { ...first!, wrapped: second!.wrapped },
      { ...second!, wrapped: first!.wrapped },
    ];
    await fixtures.rows.replace({ ...row, versions: swapped, epoch: row.epoch + 1 });
    await expect(fixtures.sealer.with('alice', () => 1)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it('takes nothing of another length for a file key', async () => {
    const envelope = await seal('file-keys');
    await expect(fixtures.sealer.with('alice', (keys) => keys.openFileKey(place(), envelope))).rejects.toMatchObject(
      refused,
    );
  });

  it('knows no owner who never had a key', async () => {
    await expect(fixtures.sealer.with('nobody', () => 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('opens nothing of an owner who was erased by another process, although the key is cached here', async () => {
    const envelope = await seal();
    const row = (await fixtures.rows.find('_id', 'alice'))!;
    await fixtures.rows.replace({ ...row, state: 'erased', epoch: row.epoch + 1, versions: [] });
    await expect(open(envelope)).rejects.toMatchObject({ code: 'not_found' });
    expect(fixtures.cache.size).toBe(0);
  });

  it('serves cached keys through an outage and answers kms_unavailable for the others', async () => {
    const envelope = await seal();
    await fixtures.masterKey.close();
    await rm(join(folder.path, 'keyring.json'));
    expect(await open(envelope)).toBe('4111111111111111');
    await expect(fixtures.sealer.with('bob', () => 1)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it('does not open a key row that was copied to another owner, even under a valid seal', async () => {
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((id) => fixtures.rows.find('_id', id)));
    await fixtures.rows.replace({ ...bob!, versions: alice!.versions, wrapped_name_key: alice!.wrapped_name_key });
    await expect(fixtures.sealer.with('bob', () => 1)).rejects.toMatchObject({ code: 'kms_unavailable' });
  });

  it('does not believe a key row that was changed in the database', async () => {
    const definition = { ...fixtures.rows.definition, authenticated: false };
    const rows = fixtures.engine.collection(definition);
    const row = (await rows.find('_id', 'alice'))!;
    await rows.replace({ ...row, epoch: 9 });
    await expect(fixtures.sealer.with('alice', () => 1)).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  it('reads the row again where the master key version that it named was retired meanwhile', async () => {
    const { store, masterKey, cache, rewrapper } = fixtures;
    const reads: number[] = [];
    class RetiredMeanwhile extends RowWrapStore {
      override async get(rows: readonly UserKeyDoc[]): ReturnType<RowWrapStore['get']> {
        if (reads.push(rows[0]!.rev) === 1) {
          await rewrapper.rewrapBatch(await masterKey.rotate(1));
          await masterKey.retire(1);
        }
        return super.get(rows);
      }
    }
    cache.clear();
    const sealer = new Sealer(store, masterKey, cache, new RetiredMeanwhile());
    expect(await sealer.with('alice', (keys) => keys.version)).toBe(1);
    expect(reads[1]).toBeGreaterThan(reads[0]!);
  });

  describe('inserting by the wrap protocol', () => {
    const steps = (log: string[], between: () => Promise<unknown>) => ({
      pending: async (keys: OwnerKeys) => {
        log.push(`pending ${keys.version}`);
        await between();
        return 'row';
      },
      again: (row: string, keys: OwnerKeys) => {
        log.push(`again ${keys.version}`);
        return Promise.resolve(`${row}, sealed again`);
      },
      activate: (row: string) => {
        log.push('activate');
        return Promise.resolve(row);
      },
    });
    const bump = async (): Promise<void> => {
      const row = (await fixtures.rows.find('_id', 'alice'))!;
      await fixtures.rows.replace({ ...row, epoch: row.epoch + 1 });
    };

    it('stores pending, looks again and activates', async () => {
      const log: string[] = [];
      expect(
        await fixtures.sealer.insert(
          'alice',
          steps(log, () => Promise.resolve()),
        ),
      ).toBe('row');
      expect(log).toEqual(['pending 1', 'activate']);
    });

    it('seals again where the epoch moved after the pending row was sealed', async () => {
      const log: string[] = [];
      expect(await fixtures.sealer.insert('alice', steps(log, bump))).toBe('row, sealed again');
      expect(log).toEqual(['pending 1', 'again 1', 'activate']);
    });

    it('never activates what was sealed for an owner who was erased meanwhile', async () => {
      const log: string[] = [];
      const erase = (): Promise<void> => fixtures.userKeys.destroy('alice');
      await expect(fixtures.sealer.insert('alice', steps(log, erase))).rejects.toMatchObject({ code: 'not_found' });
      expect(log).toEqual(['pending 1']);
    });
  });
});
