import { Config } from '../config';
import { AuditIntent, DomainError, MINUTE, Readiness, audited, isDomainError, runFor } from '../kernel';
import { FaultyStore } from '../../test/support/faulty-store';
import { MovableClock } from '../../test/support/http-app';
import { OpenStore, temporaryAuthenticatedStore } from '../../test/support/sealed-store';
import { ChainedAuditSink, verifyChain } from '.';
import { auditBatchesCollection } from './audit.collection';
import { AuditEntry } from './entry';

class Time extends MovableClock {
  override elapsed(): number {
    return super.elapsed() + this.offset;
  }
}

let open: OpenStore;
let clock: Time;
let store: FaultyStore;
let sink: ChainedAuditSink;

beforeEach(async () => {
  open = await temporaryAuthenticatedStore();
  clock = new Time();
  store = new FaultyStore(open.store);
  sink = new ChainedAuditSink(store, clock, new Readiness(), { auditReads: true } as Config);
});
afterEach(async () => {
  await sink.onApplicationShutdown();
  await open.close();
});

const LOGIN: AuditIntent = { action: 'login.password', actor: 'anonymous', gathers: true };

async function texts(): Promise<string[]> {
  const { items } = await open.store.collection(auditBatchesCollection).list('_id', [], { limit: 1000 });
  return items.map(({ entries }) => entries);
}
/** All entries, after the end of the window. */
async function entries(): Promise<AuditEntry[]> {
  await sink.onApplicationShutdown();
  return (await texts()).flatMap((text) => JSON.parse(text) as AuditEntry[]);
}

const from = <T>(address: string | undefined, act: () => Promise<T>): Promise<T> =>
  runFor({ address, account: undefined }, act);
const refused = (intent: AuditIntent = LOGIN, address: string | undefined = '192.0.2.1'): Promise<void> =>
  from(address, () => audited(sink, intent, () => Promise.reject(new DomainError('login_failed')))).catch(
    (error: unknown) => {
      if (!isDomainError(error, 'login_failed')) throw error;
    },
  );
const done = (intent: AuditIntent = LOGIN): Promise<void> =>
  from('192.0.2.1', () => audited(sink, intent, () => Promise.resolve()));

async function many(count: number, act: (at: number) => Promise<unknown>, width = 50): Promise<void> {
  let at = 0;
  const worker = async (): Promise<void> => {
    while (at < count) await act(at++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
const outcomes = (all: readonly AuditEntry[]): AuditEntry[] => all.filter(({ phase }) => phase === 'outcome');
const refusals = (all: readonly AuditEntry[]): number =>
  outcomes(all)
    .filter(({ outcome }) => outcome === 'refused')
    .reduce((sum, { details }) => sum + Number(details?.['count'] ?? 1), 0);

describe('A flood of refused logins', () => {
  it.each([
    ['from one address against names that do not exist', () => refused()],
    ['against one account', () => refused({ ...LOGIN, actor: 'user-1' })],
    ['from one address against 500 accounts', (at: number) => refused({ ...LOGIN, actor: `user-${at % 500}` })],
    ['from 5,000 addresses', (at: number) => refused(LOGIN, `192.0.${at % 50}.${at % 100}`)],
    ['by a backend that speaks for many', () => refused(LOGIN, undefined)],
  ])('%s takes a bounded room of the log, and none of 10,000 goes uncounted', async (_, act) => {
    await many(10_000, act);
    const all = await entries();
    expect((await texts()).join('').length).toBeLessThan(200_000);
    expect(all.length).toBeLessThan(800);
    expect(refusals(all)).toBe(10_000);
    expect((await verifyChain(open.store)).faults).toEqual([]);
  });

  it('leaves the first ones singly, and then an intent, durable before the next is tried, and a count', async () => {
    for (let n = 0; n < 5; n += 1) await refused({ ...LOGIN, actor: 'user-1' });
    await from('192.0.2.1', () =>
      audited(sink, { ...LOGIN, actor: 'user-1' }, async () => {
        const written = (await texts()).flatMap((text) => JSON.parse(text) as AuditEntry[]);
        expect(written.at(-1)).toMatchObject({ phase: 'intent', actor: 'user-1', details: { gathered: true } });
        throw new DomainError('too_many_attempts');
      }),
    ).catch(() => undefined);
    await refused({ ...LOGIN, actor: 'user-1' });
    await refused({ ...LOGIN, actor: 'user-1' });
    const all = await entries();
    expect(all.filter(({ details }) => details?.['gathered'] === undefined)).toHaveLength(10);
    const [begun, ended] = all.filter(({ details }) => details?.['gathered'] === true);
    expect(ended).toEqual({
      ...begun,
      at: expect.any(Number),
      phase: 'outcome',
      outcome: 'refused',
      details: {
        gathered: true,
        count: 3,
        targets: 1,
        addresses: 1,
        code: 'login_failed',
        codes: 'login_failed 2, too_many_attempts 1',
      },
    });
  });

  it('gathers nothing that succeeded, and nothing that failed for another reason', async () => {
    await many(100, () => refused({ ...LOGIN, actor: 'user-1' }), 1);
    await done({ ...LOGIN, actor: 'user-1' });
    const failed = from('192.0.2.1', () => audited(sink, LOGIN, () => Promise.reject(new Error('x'))));
    await expect(failed).rejects.toThrow();
    const all = await entries();
    const right = all.filter(({ outcome }) => outcome === 'done');
    expect(right).toMatchObject([{ actor: 'user-1', phase: 'outcome' }]);
    expect(all.filter(({ id, phase }) => id === right[0]!.id && phase === 'intent')).toHaveLength(1);
    expect(outcomes(all).filter(({ outcome }) => outcome === 'failed')).toHaveLength(1);
    expect(refusals(all)).toBe(100);
  });

  it('is no flood where many log in rightly at the same time', async () => {
    await many(200, () => done({ ...LOGIN, actor: 'user-1' }), 30);
    const all = await entries();
    expect(all).toHaveLength(400);
    expect(all.some(({ details }) => details?.['gathered'] === true)).toBe(false);
  });

  it('is counted anew each minute', async () => {
    await many(50, () => refused({ ...LOGIN, actor: 'user-1' }), 1);
    clock.offset += MINUTE;
    await refused({ ...LOGIN, actor: 'user-1' });
    const all = await entries();
    expect(outcomes(all).map(({ details }) => details?.['count'])).toEqual([
      ...Array<undefined>(5).fill(undefined),
      45,
      undefined,
    ]);
  });

  it('of refused reads is gathered as well, but each damaged row and each act of the service itself is named', async () => {
    const read = { action: 'record.read', actor: 'user-1', resource: 'record/r' } as const;
    const forged = { action: 'row.forged', actor: 'system:store' } as const;
    for (let n = 0; n < 50; n += 1) {
      sink.note({ ...read, details: { code: 'not_found' } }, 'refused');
      sink.note({ ...read, details: { code: 'integrity_failed' } }, 'refused');
      sink.note(forged, 'refused');
    }
    const notes = (await entries()).filter(({ phase }) => phase === 'note');
    const codes = notes.map(({ action, details }) => details?.['code'] ?? action);
    expect([...new Set(codes)].map((code) => [code, codes.filter((other) => other === code).length])).toEqual([
      ['not_found', 5],
      ['integrity_failed', 50],
      ['row.forged', 50],
    ]);
  });

  it('refuses each attempt while the log cannot be written, and counts again afterwards', async () => {
    await many(20, () => refused({ ...LOGIN, actor: 'user-1' }), 1);
    clock.offset += MINUTE;
    await many(5, () => refused({ ...LOGIN, actor: 'user-1' }), 1);
    store.faults.choose = () => 'refuse';
    await expect(refused({ ...LOGIN, actor: 'user-1' })).rejects.toMatchObject({ code: 'store_unavailable' });
    await expect(refused({ ...LOGIN, actor: 'user-1' })).rejects.toMatchObject({ code: 'store_unavailable' });
    store.faults.choose = () => undefined;
    await sink.onApplicationShutdown();
    await refused({ ...LOGIN, actor: 'user-1' });
    expect((await verifyChain(open.store)).faults).toEqual([]);
  });
});
