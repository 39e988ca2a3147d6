import { newPerson, signUp } from '../support/accounts';
import { Client, expectStatus } from '../support/client';
import { type Bao, describeWithPart, isLong, startOpenBao } from '../support/parts';
import { type Service, startService } from '../support/service';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

const TIMES = isLong() ? 1_000 : 200;

/**
 * A count is the same on any machine: what a warm service asks of Vault is promised, and grows with
 * nothing.
 */
describeWithPart('openbao', 'A service whose cache is warm', () => {
  let bao: Bao;
  let proxy: FaultProxy;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    bao = await startOpenBao();
    proxy = await startFaultProxy(bao.address);
    const env = {
      MASTER_KEY: 'transit',
      VAULT_ADDR: proxy.address,
      VAULT_ROLE_ID: bao.roleId,
      VAULT_SECRET_ID: bao.secretId,
    };
    service = await startService({ env });
    client = (await signUp(new Client(service.url), newPerson('warm'))).client;
  }, 90_000);
  afterAll(async () => {
    await service.dispose();
    await proxy.close();
    await bao.stop();
  });

  async function callsOf(act: (n: number) => Promise<unknown>): Promise<string[]> {
    const before = proxy.passed.length;
    for (let n = 0; n < TIMES; n += 1) await act(n);
    return proxy.passed.slice(before);
  }

  it(`asks nothing of Vault for ${TIMES} reads of records`, async () => {
    const { id } = expectStatus(await client.post('/sensitive-data', { data_type: 'note', value: 'x' }), 200) as {
      id: string;
    };
    expect(
      await callsOf(async () => {
        expectStatus(await client.get(`/sensitive-data/${id}`), 200);
      }),
    ).toEqual([]);
  }, 300_000);

  it(`asks Vault at most once for ${TIMES} uploads`, async () => {
    const calls = await callsOf(async (n) => {
      expectStatus(await client.upload(`file ${n}.txt`, 'content'), 201);
    });
    expect(calls.length).toBeLessThanOrEqual(1);
  }, 300_000);
});
