import { SecretBytes, StartRefused } from '../../src/kernel';
import { wrapContext } from '../../src/keys/master';
import { INSTALLATION_ID, kvConfig, openKv } from '../support/kv';
import { KvMasterKey } from '../../src/keys/master/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { startFaultProxy } from '../support/fault-proxy';
import { masterKeyContract } from './master-key.contract';

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

  it('is called destroyed once every version of the document that had it is, and not before', async () => {
    const master = await openKv(bao);
    await master.rotate(1);
    await master.rotate(2);
    const before = (await bao.request('GET', 'kv/data/master_key')).data['data'] as {
      versions: Record<string, { key: string }>;
    };
    await bao.request('PUT', 'sys/policies/acl/coffer', {
      policy: 'path "kv/data/*" { capabilities = ["create", "read", "update"] }',
    });
    await expect(master.retire(2)).rejects.toMatchObject({ code: 'kms_unavailable' });
    const halfway = await master.state();
    expect(halfway).toMatchObject({ versions: [{ version: 3 }], destroyedBelow: 0, isRetiring: true });
    expect(await numbers(true)).toEqual(['1', '2', '3', '4']);

    await bao.request('PUT', 'sys/policies/acl/coffer', {
      policy: 'path "kv/*" { capabilities = ["create", "read", "update"] }',
    });
    await master.retire(1);
    expect(await master.state()).toMatchObject({ versions: [{ version: 3 }], destroyedBelow: 3, isRetiring: false });
    const left = await Promise.all(
      (await numbers(true)).map((at) => bao.request('GET', `kv/data/master_key?version=${at}`)),
    );
    for (const version of ['1', '2']) expect(JSON.stringify(left)).not.toContain(before.versions[version]!.key);
    const gone = bao.request('GET', `kv/data/master_key?version=${(await numbers(false))[0]!}`);
    await expect(gone).rejects.toThrow('404');
    const now = (await bao.request('GET', 'kv/metadata/master_key')).data['current_version'];
    await master.retire(2);
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

  it('is ended on a Vault so slow that the answers of all steps together come too late, by two versions of the document', async () => {
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
    expect(await master.state()).toMatchObject({ versions: [{ version: current + 1 }], isRetiring: false });
    expect((await bao.request('GET', 'kv/metadata/master_key')).data['current_version']).toBe(before + 2);
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

  it('from before it said whose it is says so from the next start on, and through a rotation and a retire', async () => {
    const master = await openKv(bao);
    await openFor(INSTALLATION_ID);
    expect(await owner()).toBe(INSTALLATION_ID);
    await master.rotate(1);
    await master.retire(1);
    expect(await owner()).toBe(INSTALLATION_ID);
    expect(await master.state()).toMatchObject({ current: 2, isRetiring: false });
    await master.close();
  });

  it('opens for the same one again, and is refused to any other, fresh or not', async () => {
    await openFor(INSTALLATION_ID);
    for (const create of [true, false]) {
      const refused = openFor('another', create);
      await expect(refused).rejects.toThrow(StartRefused);
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
