import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Logger } from '@nestjs/common';
import { StartupError, type WrappedKey } from '../../src/kernel';
import type { MasterKey } from '../../src/keys/master-key';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { startProcess } from '../support/processes';
import { useRealDeadlines } from '../support/settings';
import { context, newKey, openTransit, servesAgain, unavailable, wrapOne } from '../support/transit';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

describeWithPart('openbao', 'A Vault that does not serve', () => {
  let bao: Bao;
  let master: MasterKey;
  let wrapped: WrappedKey;

  beforeAll(async () => {
    bao = await startOpenBao();
    master = await openTransit(bao);
    wrapped = await wrapOne(master);
  });
  afterAll(async () => {
    await master.close();
    await bao.stop();
  });

  const everything = (): Promise<unknown>[] => [
    master.state(),
    master.ping(),
    master.wrap(1, [{ key: newKey(), context }]),
    master.unwrap([{ wrapped, context }]),
    master.rewrap(1, [{ wrapped, context }]),
    master.rotate(99),
  ];
  const codes = async (): Promise<unknown[]> =>
    (await Promise.allSettled(everything())).map((result) =>
      result.status === 'rejected' ? (result.reason as { code: unknown }).code : 'served',
    );
  const allUnavailable = Array.from({ length: 6 }, () => 'kms_unavailable');
  /** Without a restart of ours: the breaker's own probe finds out. */
  const serves = (): Promise<void> => servesAgain(() => master.unwrap([{ wrapped, context }]));

  it('is kms_unavailable while it is sealed, and serves again unsealed without a restart of ours', async () => {
    await bao.seal();
    expect(await codes()).toEqual(allUnavailable);
    await bao.unseal();
    await serves();
  });

  it('is kms_unavailable while it is killed, and serves again without a restart of ours', async () => {
    await bao.kill();
    expect(await codes()).toEqual(allUnavailable);
    await bao.restart();
    await serves();
  });

  it('is kms_unavailable while it is frozen, told before it wakes, and serves again without a restart of ours', async () => {
    bao.pause();
    expect(await codes()).toEqual(allUnavailable);
    bao.resume();
    await serves();
  });

  it('is kms_unavailable for a hundred requests at once while it is frozen', async () => {
    bao.pause();
    const many = await Promise.allSettled(Array.from({ length: 100 }, () => master.unwrap([{ wrapped, context }])));
    bao.resume();
    expect(many.every((result) => result.status === 'rejected')).toBe(true);
    await serves();
  });

  it('never refuses an item because of an outage', async () => {
    await bao.seal();
    await expect(master.unwrap([{ wrapped, context }])).rejects.toMatchObject(unavailable);
    await expect(master.rewrap(1, [{ wrapped, context }])).rejects.toMatchObject(unavailable);
    await bao.unseal();
  });

  it('is not waited for at the start: open rejects with kms_unavailable', async () => {
    await bao.seal();
    await expect(openTransit(bao)).rejects.toMatchObject(unavailable);
    await bao.unseal();
  });

  it('is found again by whoever asks next, however many were refused meanwhile', async () => {
    await bao.seal();
    for (let round = 0; round < 20; round += 1) {
      await expect(master.unwrap([{ wrapped, context }])).rejects.toMatchObject(unavailable);
    }
    await bao.unseal();
    await serves();
  });
});

const shippedPolicy = (): string => readFileSync(join(__dirname, '../../deploy/vault/coffer-policy.hcl'), 'utf8');

describeWithPart('openbao', 'Credentials of Vault', () => {
  let bao: Bao;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());

  const accessors = async (): Promise<string[]> =>
    (await bao.request<{ data: { keys: string[] } }>('LIST', 'auth/token/accessors')).data.keys;
  /** Ends all tokens of the service, as an operator would. */
  const revokeTokens = async (): Promise<void> => {
    for (const accessor of await accessors()) {
      const { data } = await bao.request('POST', 'auth/token/lookup-accessor', { accessor });
      if ((data['policies'] as string[]).includes('coffer')) {
        await bao.request('POST', 'auth/token/revoke-accessor', { accessor });
      }
    }
  };

  it('are used for one new login when a revoked token meets many requests at once', async () => {
    const master = await openTransit(bao);
    const wrapped = await wrapOne(master);
    await revokeTokens();
    const before = (await accessors()).length;
    const results = await Promise.all(Array.from({ length: 50 }, () => master.unwrap([{ wrapped, context }])));
    expect(results.every(([result]) => result!.ok)).toBe(true);
    expect((await accessors()).length).toBe(before + 1);
    await master.close();
  });

  it('do not lead to a login for each request that the policy forbids', async () => {
    const master = await openTransit(bao);
    await bao.request('PUT', 'sys/policies/acl/coffer', {
      policy: 'path "transit/keys/coffer-master" {capabilities=["read"]}',
    });
    const before = (await accessors()).length;
    for (let round = 0; round < 10; round += 1) {
      await expect(master.wrap(1, [{ key: newKey(), context }])).rejects.toMatchObject(unavailable);
    }
    expect((await accessors()).length).toBe(before + 1);
    await master.close();
    await bao.request('PUT', 'sys/policies/acl/coffer', { policy: shippedPolicy() });
  });

  it('that were withdrawn make the service unavailable, in our words and without a secret in the error', async () => {
    const master = await openTransit(bao);
    const { data } = await bao.request<{ data: { secret_id: string } }>(
      'POST',
      'auth/approle/role/coffer/secret-id',
      {},
    );
    const other = await openTransit(bao, { login: { roleId: bao.roleId, secretId: data.secret_id } });
    await bao.request('POST', 'auth/approle/role/coffer/secret-id/destroy', { secret_id: data.secret_id });
    await revokeTokens();
    const error: unknown = await wrapOne(other).catch((fault: unknown) => fault);
    expect(error).toMatchObject(unavailable);
    const printed = inspect(error, { depth: 10, showHidden: true });
    const key = newKey().bytes.toString('base64');
    for (const hidden of [data.secret_id, bao.roleId, key, 'invalid role or secret ID', 'X-Vault-Token']) {
      expect(printed).not.toContain(hidden);
    }
    await Promise.all([master.close(), other.close()]);
  });

  it('that Vault does not take refuse the start in one line', async () => {
    const wrong = { login: { roleId: bao.roleId, secretId: 'not-the-secret-id' } };
    const error: unknown = await openTransit(bao, wrong).catch((fault: unknown) => fault);
    expect(error).toEqual(new StartupError('Vault does not accept VAULT_ROLE_ID and VAULT_SECRET_ID.'));
  });

  it('may be a token, and a wrong one refuses the start', async () => {
    const { auth } = await bao.request<{ auth: { client_token: string } }>('POST', 'auth/token/create', {
      policies: ['coffer'],
    });
    const master = await openTransit(bao, { login: { token: auth.client_token } });
    expect((await wrapOne(master)).masterVersion).toBe(1);
    await master.close();
    await expect(openTransit(bao, { login: { token: 'wrong' } })).rejects.toThrow('does not accept VAULT_TOKEN');
  });

  it('show in no output, whatever DEBUG says', async () => {
    const args = [
      '--require',
      join(__dirname, '../support/typescript-hook.cjs'),
      join(__dirname, '../support/transit-process.ts'),
    ];
    const program = startProcess(process.execPath, [...args, bao.address, bao.roleId, bao.secretId], {
      env: { DEBUG: '*' },
    });
    await program.exited;
    const output = program.output();
    expect(output).toContain('finished');
    const key = Buffer.from('a key whose bytes are a sentence!');
    for (const secret of [bao.secretId, bao.roleId, key.toString('base64'), key.toString('utf8'), 'X-Vault-Token']) {
      expect(output).not.toContain(secret);
    }
  });
});
