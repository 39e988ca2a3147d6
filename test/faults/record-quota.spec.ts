import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAY, DomainError, HOUR, MINUTE } from '../../src/kernel';
import { OwnerUsage, type RecordUsage } from '../../src/quota';
import { RecordsUserData } from '../../src/sensitive-data';
import { RecordCount } from '../../src/sensitive-data/record-count';
import { SensitiveDataService, type Versioned } from '../../src/sensitive-data/sensitive-data.service';
import { signUp } from '../support/accounts';
import { startActor } from '../support/actors';
import { startCoffer } from '../support/coffer';
import { MovingClock } from '../support/files-rig';
import { type KeyFixture, openKeyFixture } from '../support/key-fixture';
import { person } from '../support/person';
import { noQuota, usageParts } from '../support/usage';

const QUOTA = 1000;
const alice = person('alice');
const anyRevision = (): void => undefined;

let folder: string;
let fixture: KeyFixture;
let clock: MovingClock;
let sums: OwnerUsage;
let usage: RecordUsage;
let count: RecordCount;
let records: SensitiveDataService;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coffer-record-quota-'));
  fixture = await openKeyFixture(folder);
  clock = new MovingClock();
  [sums, usage] = usageParts(fixture.store, { clock, userQuota: QUOTA });
  count = new RecordCount(fixture.store, usage);
  count.onModuleInit();
  records = serviceWith(usage);
  await fixture.store.prepare();
  await fixture.userKeys.create('alice', 'alice');
});
afterEach(async () => {
  await fixture.close();
  await rm(folder, { recursive: true, force: true });
});

const serviceWith = (by: RecordUsage): SensitiveDataService =>
  new SensitiveDataService(fixture.store, fixture.sealer, fixture.audit, clock, by);
const value = (bytes: number) => ({ dataType: 'note', value: 'x'.repeat(bytes) });
const create = (bytes: number, by = records): Promise<Versioned> => by.create(alice, value(bytes));
const counted = async (): Promise<number | undefined> => (await sums.find('alice'))?.records?.bytes;
const stored = (): Promise<number> => count.bytesOf('alice');

describe('The service with a quota', () => {
  it('answers 507 to a record beyond it and to an upload, and takes them once there is room', async () => {
    const coffer = await startCoffer({ env: { USER_QUOTA: '1000' } });
    try {
      const { client } = await signUp(coffer.client);
      const make = (bytes: number) => client.post('/sensitive-data', { data_type: 'note', value: 'x'.repeat(bytes) });
      const { id } = (await make(900)).json as { id: string };
      expect(await make(101)).toMatchObject({ status: 507, json: { code: 'quota_exceeded' } });
      const larger = { data_type: 'note', value: 'x'.repeat(1001) };
      expect(await client.put(`/sensitive-data/${id}`, larger)).toMatchObject({ status: 507 });
      expect((await client.delete(`/sensitive-data/${id}`)).status).toBe(200);
      expect((await make(1000)).status).toBe(200);
    } finally {
      await coffer.close();
    }
  });
});

describe('The records of an owner', () => {
  it('count in the quota with the bytes of their values, also in UTF-8, and beyond it none is stored', async () => {
    await records.create(alice, { dataType: 'note', value: 'ä'.repeat(200) });
    await create(600);
    expect([await counted(), await stored()]).toEqual([QUOTA, QUOTA]);
    await expect(create(1)).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect([await counted(), await stored()]).toEqual([QUOTA, QUOTA]);
  });

  it('count what they hold after a replace, and a larger value beyond the quota is refused', async () => {
    const { record } = await create(400);
    await create(500);
    await expect(records.replace(alice, record.id, value(501), anyRevision)).rejects.toMatchObject({
      code: 'quota_exceeded',
    });
    await records.replace(alice, record.id, value(500), anyRevision);
    await records.replace(alice, record.id, value(10), anyRevision);
    expect([await counted(), await stored()]).toEqual([510, 510]);
  });

  it('give back what they held when they are removed', async () => {
    const { record } = await create(QUOTA);
    await records.remove(alice, record.id, anyRevision);
    expect(await sums.find('alice')).toBeUndefined();
    await create(QUOTA);
  });

  it('change the sum by nothing where a precondition does not hold or the record is not there', async () => {
    const { record } = await create(100);
    const refuse = (): never => {
      throw new TypeError('another revision');
    };
    await expect(records.replace(alice, record.id, value(1), refuse)).rejects.toThrow();
    await expect(records.remove(alice, 'nowhere', anyRevision)).rejects.toMatchObject({ code: 'not_found' });
    expect((await sums.find('alice'))?.records).toMatchObject({ bytes: 100, marks: {} });
  });

  it('are summed up exactly by many who replace one of them at the same time', async () => {
    const { record } = await create(10);
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => records.replace(alice, record.id, value(20 + n), anyRevision)),
    );
    expect((await sums.find('alice'))?.records).toMatchObject({ bytes: await stored(), marks: {} });
  });

  it('share the quota with the files of their owner', async () => {
    await sums.rows.insert({ _id: 'alice', bytes: 900, marks: {} });
    await create(100);
    await expect(create(1)).rejects.toMatchObject({ code: 'quota_exceeded' });
    const more = { ...(await sums.find('alice'))!, bytes: 900 };
    expect(() => sums.requireRoom(more, 1, 'file')).toThrow(DomainError);
  });

  it('of before there was a quota are counted at the first write, and no sum is kept without one', async () => {
    const before = serviceWith(noQuota(fixture.store));
    for (let n = 0; n < 40; n += 1) await create(20, before);
    expect(await sums.find('alice')).toBeUndefined();
    await expect(create(201)).rejects.toMatchObject({ code: 'quota_exceeded' });
    await create(200);
    expect([await counted(), await stored()]).toEqual([QUOTA, QUOTA]);
  });

  it('are counted anew after a time without a quota', async () => {
    await create(100);
    const [, off] = usageParts(fixture.store, { clock });
    await off.sweep();
    expect(await sums.find('alice')).toBeUndefined();
    await create(300, serviceWith(off));
    await create(1);
    expect(await counted()).toBe(401);
  });

  it('that two processes make at the same time never pass the quota together, and fill it', async () => {
    // Each of them alone has more than fits: whichever begins first, both are refused in the end.
    const actors = [1, 2].map(() => startActor('record-writer', folder, 'alice', '120', String(QUOTA)));
    await Promise.all(actors.map(({ exited }) => exited));
    const made = actors.map((actor) => Number(/^made (\d+) refused quota_exceeded\n$/.exec(actor.output())?.[1]));
    expect(made[0]! + made[1]!).toBe(QUOTA / 10);
    expect([await counted(), await stored()]).toEqual([QUOTA, QUOTA]);
    expect((await sums.find('alice'))?.records?.marks).toEqual({});
  });

  it.each(['record.announced', 'record.written'])(
    'that a process leaves which dies at %s are counted again by the job, and never too low until then',
    async (point) => {
      const actor = startActor('record-writer', folder, 'alice', '30', String(QUOTA), `${point}:20`);
      expect(await actor.exited).toBeNull();
      expect(await counted()).toBeGreaterThanOrEqual(await stored());
      await usage.sweep();
      expect(Object.keys((await sums.find('alice'))!.records!.marks).length).toBeGreaterThan(0);
      clock.forward(HOUR);
      await usage.sweep();
      expect((await sums.find('alice'))?.records).toMatchObject({ bytes: await stored(), marks: {} });
    },
  );

  it('are counted again where a writer slept until the job had given its write up', async () => {
    await create(100);
    await usage.during('alice', 50, async () => {
      await usage.sweep();
      clock.forward(HOUR);
      await usage.sweep();
      expect(await counted()).toBe(100);
      return serviceWith(noQuota(fixture.store)).create(alice, value(50));
    });
    await usage.sweep();
    expect(await counted()).toBe(150);
  });

  it.each([HOUR, -HOUR])('are left to a write that goes on, by a process whose clock differs by %i ms', async (ms) => {
    await create(100);
    await usage.during('alice', 50, async () => {
      const another = new MovingClock();
      another.forward(ms);
      const [, elsewhere] = usageParts(fixture.store, { clock: another, userQuota: QUOTA });
      new RecordCount(fixture.store, elsewhere).onModuleInit();
      await elsewhere.sweep();
      another.forward(14 * MINUTE);
      await elsewhere.sweep();
      expect([await counted(), Object.keys((await sums.find('alice'))!.records!.marks).length]).toEqual([150, 1]);
      return undefined;
    });
  });

  it('are not counted by the job while a write goes on, nor by a walk that a write overtook', async () => {
    await create(100);
    clock.forward(8 * DAY);
    await usage.during('alice', 50, async () => {
      await usage.sweep();
      expect(await counted()).toBe(150);
      return undefined;
    });
    usage.countBy(async (owner) => {
      const bytes = await stored();
      usage.countBy((again) => count.bytesOf(again));
      await create(7);
      return bytes + (owner === 'alice' ? 0 : 1);
    });
    await usage.sweep();
    expect(await counted()).toBe(107);
  });

  it('leave no sum behind when their account is erased', async () => {
    await create(100);
    await new RecordsUserData(fixture.store, fixture.sealer).eraseUser('alice');
    await sums.rows.remove('alice');
    await fixture.userKeys.destroy('alice');
    await expect(create(1)).rejects.toMatchObject({ code: 'not_found' });
    expect(await sums.find('alice')).toBeUndefined();
  });
});
