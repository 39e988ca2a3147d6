import { openKv } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
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
});
