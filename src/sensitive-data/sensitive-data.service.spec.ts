import { Logger } from '@nestjs/common';
import { DamageReports, Metrics } from '../observability';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainError, MINUTE, SystemClock } from '../kernel';
import { type Collection, type Doc } from '../store';
import { type KeyFixture, openKeyFixture } from '../../test/support/key-fixture';
import { person } from '../../test/support/person';
import { noQuota } from '../../test/support/usage';
import { RecordsUserData } from '.';
import { PendingSweeper } from './pending-sweeper';
import { masked, parseRecord } from './sensitive-data';
import { type SensitiveDataDoc, sensitiveDataCollection } from './sensitive-data.collection';
import { type RecordList, SensitiveDataService, type Versioned } from './sensitive-data.service';

const alice = person('alice');
const bob = person('bob');
const anyRevision = (): void => undefined;

let folder: string;
let fixture: KeyFixture;
let metrics: Metrics;
let service: SensitiveDataService;
let rows: Collection<SensitiveDataDoc>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-records-'));
  fixture = await openKeyFixture(folder);
  metrics = new Metrics();
  service = new SensitiveDataService(
    fixture.store,
    fixture.sealer,
    fixture.audit,
    new SystemClock(),
    noQuota(fixture.store),
    new DamageReports(metrics, fixture.audit),
  );
  rows = fixture.store.collection(sensitiveDataCollection);
  await Promise.all([fixture.userKeys.create('alice', 'alice'), fixture.userKeys.create('bob', 'bob')]);
});
afterEach(async () => {
  await fixture.close();
  await rm(folder, { recursive: true, force: true });
});

const create = (value: string, dataType = 'note', owner = alice): Promise<Versioned> =>
  service.create(owner, parseRecord(dataType, value));
const list = (options: Partial<Parameters<SensitiveDataService['list']>[1]> = {}): Promise<RecordList> =>
  service.list(alice, { dataType: undefined, view: 'clear', limit: 1000, after: undefined, ...options });
const rowOf = async (id: string): Promise<SensitiveDataDoc> => (await rows.find('_id', id))!;

/** The raw row in the engine, which an attacker with database access could change. */
function rawRows(): Collection<Doc & { encrypted_value: string; user_id: string }> {
  const fields = { ...sensitiveDataCollection.fields, seal: 'string' };
  return fixture.engine.collection({ ...sensitiveDataCollection, fields } as never);
}

describe('a record', () => {
  it.each(['x', 'Grüße 👋 \u0000 "quoted"', 'a'.repeat(256 * 1024), '{"$ne":null}'])(
    'comes back as sent',
    async (value) => {
      const { record } = await create(value);
      expect((await service.get(alice, record.id, 'clear')).record).toEqual({
        id: record.id,
        data_type: 'note',
        value,
      });
    },
  );

  it('is nowhere in clear in the store', async () => {
    const { record } = await create('the-secret-of-alice');
    expect(JSON.stringify(await rawRows().find('_id', record.id))).not.toContain('the-secret');
    expect((await rowOf(record.id)).encrypted_value).toMatch(/^[0-9a-f]+$/);
  });

  it('has another ciphertext each time it is sealed', async () => {
    const [one, two] = [await create('same'), await create('same')];
    expect((await rowOf(one.record.id)).encrypted_value).not.toBe((await rowOf(two.record.id)).encrypted_value);
  });

  it('of somebody else is as one that does not exist, for each operation', async () => {
    const { record } = await create('mine');
    const input = parseRecord('note', 'theirs');
    for (const id of [record.id, 'no-such-record']) {
      await expect(service.get(bob, id, 'clear')).rejects.toMatchObject({ code: 'not_found' });
      await expect(service.replace(bob, id, input, anyRevision)).rejects.toMatchObject({ code: 'not_found' });
      await expect(service.remove(bob, id, anyRevision)).rejects.toMatchObject({ code: 'not_found' });
    }
    expect((await service.get(alice, record.id, 'clear')).record.value).toBe('mine');
  });

  it('is replaced with its type, and its revision moves', async () => {
    const { record, rev } = await create('before');
    const after = await service.replace(alice, record.id, parseRecord('other', 'after'), anyRevision);
    expect(after).toEqual({ record: { id: record.id, data_type: 'other', value: 'after' }, rev: rev + 1 });
  });

  it('is not replaced where the precondition of the caller does not hold', async () => {
    const { record } = await create('before');
    const guard = (): void => {
      throw new DomainError('precondition_failed');
    };
    const input = parseRecord('note', 'after');
    await expect(service.replace(alice, record.id, input, guard)).rejects.toMatchObject({
      code: 'precondition_failed',
    });
    await expect(service.remove(alice, record.id, guard)).rejects.toMatchObject({ code: 'precondition_failed' });
    expect((await service.get(alice, record.id, 'clear')).record.value).toBe('before');
  });

  it('takes the values of many who replace it at the same time, and keeps the last one', async () => {
    const { record, rev } = await create('v');
    const values = Array.from({ length: 30 }, (_, n) => `v${n}`);
    const input = (value: string) => parseRecord('note', value);
    const stored = await Promise.all(
      values.map((value) => service.replace(alice, record.id, input(value), anyRevision)),
    );
    const last = stored.find((answer) => answer.rev === rev + values.length);
    expect((await service.get(alice, record.id, 'clear')).record).toEqual(last?.record);
  });

  it('is gone once it was removed', async () => {
    const { record } = await create('x');
    await service.remove(alice, record.id, anyRevision);
    await expect(service.get(alice, record.id, 'clear')).rejects.toMatchObject({ code: 'not_found' });
    await expect(service.remove(alice, record.id, anyRevision)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('that is pending is invisible', async () => {
    const { record } = await create('x');
    await rows.replace({ ...(await rowOf(record.id)), state: 'pending' });
    await expect(service.get(alice, record.id, 'clear')).rejects.toMatchObject({ code: 'not_found' });
    expect((await list()).records).toEqual([]);
  });

  it('is not taken where the log cannot be written', async () => {
    await fixture.store.close();
    await expect(create('x')).rejects.toMatchObject({ code: 'store_unavailable' });
  });
});

describe('a list of records', () => {
  it('is oldest first, in pages that meet', async () => {
    for (let n = 0; n < 7; n += 1) await create(`value-${n}`);
    const values: string[] = [];
    let after: string | undefined;
    do {
      const page = await list({ limit: 3, after });
      values.push(...page.records.map((record) => record.value));
      after = page.next;
    } while (after !== undefined);
    expect(values).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => `value-${n}`));
  });

  it('holds the own records only, and of one type where that is asked for', async () => {
    await create('theirs', 'note', bob);
    await create('a note');
    await create('4111111111111111', 'card_number');
    expect((await list()).records.map((record) => record.value)).toEqual(['a note', '4111111111111111']);
    expect((await list({ dataType: 'card_number' })).records).toHaveLength(1);
    expect((await list({ dataType: 'card_num' })).records).toEqual([]);
  });

  it('shows the end of a card number at most when masked', async () => {
    await create('4111111111111234', 'card_number');
    await create('a long secret');
    expect((await list({ view: 'masked' })).records.map((record) => record.value)).toEqual([
      '************1234',
      '****',
    ]);
  });

  it('shows of a card number under another spelling no more, and nothing of what is none', () => {
    expect(masked('Card_Number', '4111111111111234')).toBe('************1234');
    expect(masked('Card_Number', 'abc')).toBe('****');
  });

  it('of large values ends early and goes on', async () => {
    const large = 'a'.repeat(256 * 1024);
    for (let n = 0; n < 60; n += 1) await create(large);
    const page = await list();
    expect(page.records.length).toBeLessThan(60);
    expect(page.next).toBeDefined();
    const rest = await list({ after: page.next });
    expect(page.records.length + rest.records.length).toBe(60);
  });
});

describe('a stored record that was tampered with', () => {
  it('is refused where its row fails MAC verification', async () => {
    const { record } = await create('x');
    const row = await rawRows().find('_id', record.id);
    await rawRows().replace({ ...row!, encrypted_value: row!.encrypted_value.replace(/.$/, '0') + '00' });
    await expect(service.get(alice, record.id, 'clear')).rejects.toMatchObject({ code: 'integrity_failed' });
    await expect(list()).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  it('is refused where it was given to another owner in the database', async () => {
    const { record } = await create('x');
    const row = await rawRows().find('_id', record.id);
    await rawRows().replace({ ...row!, user_id: 'bob' });
    await expect(service.get(bob, record.id, 'clear')).rejects.toMatchObject({ code: 'integrity_failed' });
  });

  it('does not open with the ciphertext of another record, even under a seal that holds', async () => {
    const [one, two] = [await create('one'), await create('two')];
    const { encrypted_value } = await rowOf(two.record.id);
    await rows.replace({ ...(await rowOf(one.record.id)), encrypted_value });
    const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    await expect(service.get(alice, one.record.id, 'clear')).rejects.toMatchObject({ code: 'decryption_failed' });
    const damage = { resource: `record/${one.record.id}`, code: 'decryption_failed' };
    expect(errors.mock.calls).toEqual([[expect.objectContaining(damage)]]);
    errors.mockRestore();
    expect(await metrics.registry.metrics()).toContain('coffer_damaged_reads_total{resource="record"} 1\n');
    await expect(list()).rejects.toMatchObject({ code: 'decryption_failed' });
  });

  it.each<[string, (hex: string) => string]>([
    ['flipped', (hex) => hex.slice(0, -1) + (hex.endsWith('0') ? '1' : '0')],
    ['cut', (hex) => hex.slice(0, -2)],
    ['empty', () => ''],
    ['no hex', () => 'zz'],
    ['of another format', (hex) => `ff${hex.slice(2)}`],
  ])('does not open where it is %s, even under a seal that holds', async (_, damage) => {
    const { record } = await create('x');
    const row = await rowOf(record.id);
    await rows.replace({ ...row, encrypted_value: damage(row.encrypted_value) });
    await expect(service.get(alice, record.id, 'clear')).rejects.toMatchObject({ code: 'decryption_failed' });
  });
});

describe('a value', () => {
  it.each([
    ['note', ''],
    ['note', 'a'.repeat(256 * 1024 + 1)],
    ['note', 'é'.repeat(128 * 1024) + 'a'],
    ['note', 'lone \ud800 surrogate'],
    ['card_number', '411111111111111'],
    ['card_number', '41111111111111111'],
    ['card_number', '4111 1111 1111 1111'],
    ['card_number', '4111111111111111\n'],
    ['card_number', '٤١١١١١١١١١١١١١١١'],
    ['card_number', '411111111111111x'],
    ['Card_Number', '4111 1111 1111 1111'],
    ['CARD_NUMBER', '411111111111111'],
  ])('that cannot be a %s is refused, and not repeated in the refusal (%#)', (dataType, value) => {
    const refusal = (() => {
      try {
        return parseRecord(dataType, value);
      } catch (error) {
        return error;
      }
    })() as DomainError;
    expect(refusal).toMatchObject({ code: 'invalid_value', fields: [{ pointer: '/value' }] });
    if (value.length > 2) expect(`${refusal.message}${JSON.stringify(refusal.fields)}`).not.toContain(value);
  });
});

describe('what else happens to records', () => {
  it('removes a pending row whose writer died, and no other', async () => {
    const [kept, abandoned, young] = [await create('a'), await create('b'), await create('c')];
    const now = Date.now();
    for (const [{ record }, since] of [
      [abandoned, now - 16 * MINUTE],
      [young, now - 14 * MINUTE],
    ] as const) {
      await rows.replace({ ...(await rowOf(record.id)), state: 'pending', pending_since: since });
    }
    const sweeper = new PendingSweeper(fixture.store, { every: () => undefined }, new SystemClock());
    expect(await sweeper.sweep()).toBe(1);
    expect(await rowOf(abandoned.record.id)).toBeUndefined();
    expect(await rowOf(young.record.id)).toBeDefined();
    expect((await service.get(alice, kept.record.id, 'clear')).record.value).toBe('a');
  });

  it('erases all of one owner, forged rows too, and nothing of another', async () => {
    const forged = await create('forged');
    for (let n = 0; n < 120; n += 1) await create(`${n}`);
    await create('kept', 'note', bob);
    const row = await rawRows().find('_id', forged.record.id);
    await rawRows().replace({ ...row!, encrypted_value: '00' });
    const owned = new RecordsUserData(fixture.store, fixture.sealer);
    expect(await owned.eraseUser('alice')).toBe(121);
    expect(await owned.eraseUser('alice')).toBe(0);
    expect(await rows.count('owner', ['alice'])).toBe(0);
    expect(await rows.count('owner', ['bob'])).toBe(1);
  });

  it('has nothing to seal again while the key of its owner has one version', async () => {
    await create('a');
    expect(await new RecordsUserData(fixture.store, fixture.sealer).reencrypt('alice')).toBe(0);
  });
});

describe('a long list', () => {
  it('lets other requests have the event loop meanwhile', async () => {
    await Promise.all(Array.from({ length: 400 }, (_, at) => create(`${at}`.padEnd(16_000, 'x'))));
    const begun = performance.now();
    let longest = 0;
    let last = begun;
    const tick = (): void => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    };
    const timer = setInterval(tick, 0);
    await list();
    tick();
    clearInterval(timer);
    // A list that never yields would block the loop for its whole duration.
    expect(longest).toBeLessThan((performance.now() - begun) / 2);
  });
});
