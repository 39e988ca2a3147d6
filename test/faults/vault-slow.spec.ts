import { Logger } from '@nestjs/common';
import { newId } from '../../src/kernel';
import type { UserKeyDoc } from '../../src/keys/user-keys';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy';
import { openWrapStore } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { context, newKey, openTransit } from '../support/transit';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

/**
 * Neither away nor refusing: each item takes it a while, as behind an HSM or on a small machine.
 */
describeWithPart('openbao', 'A Vault that is slow an item', () => {
  let bao: Bao;
  let proxy: FaultProxy;

  beforeAll(async () => {
    bao = await startOpenBao();
    proxy = await startFaultProxy(bao.address);
  });
  afterAll(async () => {
    await proxy.close();
    await bao.stop();
  });
  afterEach(() => {
    proxy.mode = 'pass';
  });

  it('wraps a batch again in parts that it gets through in time, and remembers how large those are', async () => {
    const master = await openTransit(bao, { address: proxy.address });
    const items = Array.from({ length: 80 }, () => ({ key: newKey(), context }));
    const wraps = await master.wrap(1, items);
    proxy.mode = { itemMs: 30 };
    const stale = wraps.map((wrapped) => ({ wrapped, context }));
    const fresh = await master.rewrap(1, stale);
    expect(fresh.every(({ ok }) => ok)).toBe(true);
    const before = proxy.requests;
    const opened = await master.unwrap(stale.slice(0, 40));
    expect(opened.every(({ ok }) => ok)).toBe(true);
    expect(proxy.requests - before).toBeLessThanOrEqual(4);
    await master.close();
  }, 30_000);

  it('reads the user keys of a batch in parts that it gets through in time', async () => {
    const home = await openWrapStore({ ...bao, address: proxy.address });
    const rows = Array.from({ length: 12 }, (_, at) => rowOf(`slow-${at}`));
    for (const row of rows) await home.put(row, true);
    proxy.mode = { itemMs: 250 };
    const loaded = await home.get(rows);
    expect(loaded.map(({ ok }) => ok)).toEqual(rows.map(() => true));
  }, 30_000);
});

function rowOf(name: string): UserKeyDoc {
  const version = { version: 1, wrapped: 'vault:v1:AAAA', master_version: 1, key_id: newId(), created_at: 1 };
  return {
    ...{ _id: newId(), rev: 1, name, state: 'active', current: 1, epoch: 1, master_epoch: 1, created_at: 1 },
    ...{ versions: [version], master_version: 1, wrapped_name_key: '', quarantined: false },
  };
}
