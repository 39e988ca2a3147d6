import { Logger } from '@nestjs/common';
import { isDomainError } from '../../src/kernel';
import { openKv, openWrapStore } from '../support/kv';
import { type Bao, describeWithPart, startOpenBao } from '../support/parts';
import { useRealDeadlines } from '../support/settings';
import { context, openTransit, wrapOne } from '../support/transit';

useRealDeadlines();

/** Settings of the operator that the service neither makes nor can undo. */
describeWithPart('openbao', 'What Vault is set to is told at the start', () => {
  let bao: Bao;
  let lines: string[];
  let unanswered: number;

  beforeAll(async () => {
    bao = await startOpenBao();
  });
  afterAll(() => bao.stop());
  beforeEach(() => {
    const note =
      (level: string) =>
      (line: unknown, ...rest: unknown[]): void => {
        // What is said of a request itself, as that it took too long.
        if (rest.at(-1) === 'Vault') unanswered += level === 'log' ? 0 : 1;
        else lines.push(`${level} ${String(line)}`);
      };
    Logger.overrideLogger({ log: note('log'), warn: note('warn'), error: note('error') });
  });
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  const told = (pattern: RegExp): string[] => lines.filter((line) => pattern.test(line));
  /**
   * Begins anew where a busy machine left a request without an answer: what it asked for is not
   * told then.
   */
  async function started(start = startAll): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      [lines, unanswered] = [[], 0];
      await start().catch((error: unknown) => {
        if (!isDomainError(error, 'kms_unavailable')) throw error;
        unanswered += 1;
      });
      if (unanswered === 0) return;
    }
    throw new Error('Vault left a request of each start without an answer');
  }
  const startKv = async (): Promise<void> => {
    await (await openKv(bao)).close();
    await openWrapStore(bao);
  };
  const startAll = async (): Promise<void> => {
    await (await openTransit(bao)).close();
    await startKv();
  };

  it('says nothing of what is as it should be', async () => {
    await started();
    expect(told(/transit\/keys|kv\//)).toEqual([]);
  });

  it('names each setting by which the Transit key can leave Vault, be deleted or be rotated by itself', async () => {
    const unsafe = {
      exportable: true,
      allow_plaintext_backup: true,
      deletion_allowed: true,
      auto_rotate_period: '24h',
    };
    await bao.request('POST', 'transit/keys/coffer-master/config', unsafe);
    await started();
    for (const name of Object.keys(unsafe)) expect(told(new RegExp(name))).toHaveLength(1);
    expect(told(/^error/)).toHaveLength(2);
  });

  it('names min_encryption_version where it is above the version that Coffer wraps with', async () => {
    const transit = await openTransit(bao);
    const wrapped = await wrapOne(transit);
    await bao.request('POST', 'transit/keys/coffer-master/rotate');
    await bao.request('POST', 'transit/keys/coffer-master/config', { min_encryption_version: 2 });
    const reason = expect.stringContaining('min_encryption_version is 2, above version 1') as unknown;
    await expect(wrapOne(transit)).rejects.toMatchObject({ code: 'kms_unavailable', reason });
    await expect(transit.rewrap(1, [{ wrapped, context }])).rejects.toMatchObject({ reason });
    expect(told(/^error transit\/keys\/coffer-master: min_encryption_version is 2.*POST \/keys\/rotate/)).toHaveLength(
      2,
    );
    expect(await transit.rotate(1)).toBe(2);
    await bao.request('POST', 'transit/keys/coffer-master/config', { min_encryption_version: 0 });
    await transit.close();
  });

  it('names delete_version_after and max_versions of the KV engine and of a document', async () => {
    await bao.request('POST', 'kv/config', { delete_version_after: '768h', max_versions: 5 });
    await bao.request('POST', 'kv/metadata/master_key', { delete_version_after: '24h' });
    await started();
    expect(told(/^error kv\/config: delete_version_after/)).toHaveLength(2);
    expect(told(/^log kv\/config: max_versions is 5/)).toHaveLength(2);
    expect(told(/^error kv\/metadata\/master_key: delete_version_after/)).toHaveLength(1);
  });

  it('starts, and says that it cannot look, under a policy of before', async () => {
    const before = `
      path "kv/data/master_key" { capabilities = ["create", "read", "update"] }
      path "kv/data/user_keys/*" { capabilities = ["create", "read", "update"] }`;
    await bao.request('PUT', `sys/policies/acl/${bao.policyName}`, { policy: before });
    await started(startKv);
    expect(told(/kv\/config: .*does not let Coffer look/)).toHaveLength(2);
  });
});
