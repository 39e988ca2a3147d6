import { SecretBytes, StartupError } from '../../src/kernel';
import { wrapContext } from '../../src/keys/master-key';
import { INSTALLATION_ID, kvConfig, openKv, operatorToken, serviceToken } from '../support/kv';
import { KvMasterKey } from '../../src/keys/master-key/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { startFaultProxy } from '../support/fault-proxy';
import { useRealDeadlines } from '../support/settings';
import { masterKeyContract } from './master-key.contract';

useRealDeadlines();

describeWithPart('openbao', 'the shipped policy in a real OpenBao', () => {
  masterKeyContract('a KV document', async () => {
    const bao = await startOpenBao();
    return { open: () => openKv(bao), close: () => bao.stop() };
  });
});

describeWithPart('openbao', 'A retired version in a KV document', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());

  const numbers = async (isThere: boolean): Promise<string[]> => {
    const { versions } = (await bao.request('GET', 'kv/metadata/master_key')).data as {
      versions: Record<string, { readonly destroyed: boolean }>;
    };
    return Object.keys(versions).filter((at) => versions[at]!.destroyed !== isThere);
  };

  it('is called destroyed once an operator has destroyed every version of the document that had it, and not before', async () => {
    const master = await openKv(bao);
    const operator = await operatorToken(bao);
    await master.rotate(1);
    await master.rotate(2);
    const before = (await bao.request('GET', 'kv/data/master_key')).data['data'] as {
      versions: Record<string, { key: string }>;
    };
    await expect(master.trim(2, operator)).rejects.toThrow('Version 2 is not retired');
    await master.retire(2);
    expect(await master.state()).toMatchObject({ versions: [{ version: 3 }], destroyedBelow: 0 });
    expect(await numbers(true)).toEqual(['1', '2', '3', '4']);

    await expect(master.trim(2, 'no-such-token')).rejects.toThrow(StartupError);
    await expect(master.trim(2, await serviceToken(bao))).rejects.toThrow('Vault refuses this token at kv/destroy');
    await expect(master.trim(1, operator)).rejects.toThrow('are destroyed together: trim 2');
    expect(await numbers(true)).toEqual(['1', '2', '3', '4']);
    await master.trim(2, operator);
    expect(await master.state()).toMatchObject({ versions: [{ version: 3 }], destroyedBelow: 3 });
    const left = await Promise.all(
      (await numbers(true)).map((at) => bao.request('GET', `kv/data/master_key?version=${at}`)),
    );
    for (const version of ['1', '2']) expect(JSON.stringify(left)).not.toContain(before.versions[version]!.key);
    const gone = bao.request('GET', `kv/data/master_key?version=${(await numbers(false))[0]!}`);
    await expect(gone).rejects.toThrow('404');
    const now = (await bao.request('GET', 'kv/metadata/master_key')).data['current_version'];
    await master.retire(2);
    await master.trim(2, operator);
    expect((await bao.request('GET', 'kv/metadata/master_key')).data['current_version']).toBe(now);
    await master.close();
  });

  it('wraps nothing in a process that has it still', async () => {
    const [here, there] = [await openKv(bao), await openKv(bao)];
    const { current } = await here.state();
    const item = { key: new SecretBytes(Buffer.alloc(32, 5)), context: wrapContext('user-key', 'alice', 1) };
    const [wrapped] = await here.wrap(current, [item]);
    const next = await there.rotate(current);
    await there.retire(current);
    await expect(here.wrap(current, [item])).rejects.toMatchObject({ code: 'kms_unavailable' });
    const rewrapped = here.rewrap(current, [{ wrapped: wrapped!, context: item.context }]);
    await expect(rewrapped).rejects.toMatchObject({ code: 'kms_unavailable' });
    expect(await here.wrap(next, [item])).toHaveLength(1);
    await Promise.all([here.close(), there.close()]);
  });

  it('is not destroyed together with a key that somebody else dropped from the document', async () => {
    const master = await openKv(bao);
    const { current } = await master.state();
    for (const step of [0, 1, 2]) await master.rotate(current + step);
    await master.retire(current + 1);
    const { data, metadata } = (await bao.request('GET', 'kv/data/master_key')).data as {
      data: { versions: Record<string, object>; current: number };
      metadata: { version: number };
    };
    const { [String(current + 2)]: _stolen, ...versions } = data.versions;
    const planted = { ...data, versions: { ...versions, [String(current + 2)]: versions[String(current + 3)] } };
    await bao.request('POST', 'kv/data/master_key', { data: planted, options: { cas: metadata.version } });
    const before = await numbers(true);
    await expect(master.trim(current + 1, await operatorToken(bao))).rejects.toThrow('nothing was destroyed');
    expect(await numbers(true)).toEqual(before);
    await bao.request('POST', 'kv/data/master_key', { data, options: { cas: metadata.version + 1 } });
    await master.close();
  });

  it('is ended on a Vault so slow that the answers of all steps together come too late, by one version of the document', async () => {
    const proxy = await startFaultProxy(bao.address);
    const master = await openKv({ ...bao, address: proxy.address });
    const { current } = await master.state();
    await master.rotate(current);
    const before = Number((await bao.request('GET', 'kv/metadata/master_key')).data['current_version']);
    proxy.mode = { answerAfterMs: 700 };
    await expect(master.retire(current)).rejects.toMatchObject({ code: 'kms_unavailable' });
    await master.retire(current);
    await master.retire(current);
    proxy.mode = 'pass';
    expect(await master.state()).toMatchObject({ versions: [{ version: current + 1 }] });
    expect((await bao.request('GET', 'kv/metadata/master_key')).data['current_version']).toBe(before + 1);
    await master.close();
    await proxy.close();
  });
});

describeWithPart('openbao', 'A KV document of one installation', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());

  const openFor = async (installationId: string, create = false): Promise<KvMasterKey> => {
    const master = new KvMasterKey(kvConfig(bao), { maxAgeMs: 0 });
    try {
      await master.open({ create, installationId });
    } finally {
      await master.close();
    }
    return master;
  };
  const owner = async (): Promise<unknown> => {
    const { data } = (await bao.request('GET', 'kv/data/master_key')).data as { data: Record<string, unknown> };
    return data['installation_id'];
  };

  it('from before it said whose it is says so from the next start on, through a rotation and a retire, and keeps what it does not know', async () => {
    const master = await openKv(bao);
    await openFor(INSTALLATION_ID);
    expect(await owner()).toBe(INSTALLATION_ID);
    const { data, metadata } = (await bao.request('GET', 'kv/data/master_key')).data as {
      data: object;
      metadata: { version: number };
    };
    const options = { cas: metadata.version };
    await bao.request('POST', 'kv/data/master_key', { data: { ...data, of_a_later_release: 1 }, options });
    await master.rotate(1);
    await master.retire(1);
    expect(await owner()).toBe(INSTALLATION_ID);
    expect((await bao.request('GET', 'kv/data/master_key')).data['data']).toMatchObject({ of_a_later_release: 1 });
    expect(await master.state()).toMatchObject({ current: 2, versions: [{ version: 2 }] });
    await master.close();
  });

  it('opens for the same one again, and is refused to any other, fresh or not', async () => {
    await openFor(INSTALLATION_ID);
    for (const create of [true, false]) {
      const refused = openFor('another', create);
      await expect(refused).rejects.toThrow(StartupError);
      await expect(refused).rejects.toThrow('kv/master_key in Vault is the master key of another installation');
    }
    expect(await owner()).toBe(INSTALLATION_ID);
  });

  it('is made once by installations that start at the same time, and belongs to one of them', async () => {
    await bao.request('DELETE', 'kv/metadata/master_key');
    const starts = await Promise.allSettled(['one', 'two', 'three'].map((id) => openFor(id, true)));
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(['one', 'two', 'three']).toContain(await owner());
  });
});
