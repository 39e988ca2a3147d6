import { Logger } from '@nestjs/common';
import type { MasterKey } from '../../src/keys/master-key';
import { type LaggingStandby, startLaggingStandby } from '../support/lagging-standby';
import { openKv } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { context, openTransit, unavailable, wrapOne } from '../support/transit';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

/**
 * Vault Enterprise and newer releases of OpenBao answer reads from standbys, which may be older
 * than a write that was acknowledged.
 */
describeWithPart('openbao', 'A standby of Vault that lags behind', () => {
  let bao: Bao;
  let standby: LaggingStandby;
  let master: MasterKey;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());
  beforeEach(async () => {
    standby = await startLaggingStandby(bao.address);
    master = await openTransit(bao, { address: standby.address });
  });
  afterEach(async () => {
    await master.close();
    await standby.close();
  });

  const newest = async (): Promise<number> =>
    (await bao.request('GET', 'transit/keys/coffer-master')).data['latest_version'] as number;

  it('is told in each request to hand on what it cannot answer', async () => {
    await wrapOne(master);
    expect(standby.requests.length).toBeGreaterThan(2);
    for (const { headers } of standby.requests) expect(headers['x-vault-inconsistent']).toBe('forward-active-node');
  });

  it('is told what the process has written, and so makes one version a rotation', async () => {
    const { current } = await master.state();
    standby.staleReads = 100;
    expect(await master.rotate(current)).toBe(current + 1);
    expect((await master.state()).current).toBe(current + 1);
    expect(await newest()).toBe(current + 1);
  });

  it('makes one version a rotation where it says neither what it made nor which state it has', async () => {
    [standby.tellsIndex, standby.bodies] = [false, false];
    const { current } = await master.state();
    standby.staleReads = 2;
    expect(await master.rotate(current)).toBe(current + 1);
    expect(await newest()).toBe(current + 1);
  });

  it('makes one version, and is kms_unavailable, where that one does not show in time', async () => {
    [standby.tellsIndex, standby.bodies] = [false, false];
    const { current } = await master.state();
    standby.staleReads = Infinity;
    await expect(master.rotate(current)).rejects.toMatchObject(unavailable);
    expect(await newest()).toBe(current + 1);
  });

  it('is asked once more where it answers 412', async () => {
    const wrapped = await wrapOne(master);
    standby.refusals = 1;
    const [opened] = await master.unwrap([{ wrapped, context }]);
    expect(opened?.ok).toBe(true);
  });

  it('is asked twice and no more where it answers 412 for ever, and serves again afterwards', async () => {
    standby.refusals = Infinity;
    const before = standby.requests.length;
    await expect(master.state()).rejects.toMatchObject(unavailable);
    expect(standby.requests.length - before).toBe(2);
    standby.refusals = 0;
    expect((await master.state()).current).toBeGreaterThan(0);
  });

  it('does not bring a process to a halt that knows of a state which never comes', async () => {
    standby.forwards = false;
    await wrapOne(master);
    await master.state();
    standby.staleReads = 2;
    await expect(master.state()).rejects.toMatchObject(unavailable);
    expect((await master.state()).current).toBeGreaterThan(0);
  });

  it('makes one version of a KV master key a rotation', async () => {
    const kv = await openKv(bao, { address: standby.address });
    const { current } = await kv.state();
    standby.staleReads = 100;
    expect(await kv.rotate(current)).toBe(current + 1);
    expect((await kv.state()).current).toBe(current + 1);
    await kv.close();
  });
});
