import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { isDomainError, plaintext, type WrappedKey } from '../../src/kernel';
import type { MasterKey } from '../../src/keys/master-key';
import { drawn } from '../support/drawn';
import { type KeyFixture, openKeyFixture } from '../support/key-fixture';
import { rewrapAll } from '../support/keys';
import { openKv, openWrapStore } from '../support/kv';
import { throughOutages } from '../support/outages';
import { type Bao, describeWithPart, isLong, startOpenBao } from '../support/parts';
import { waitFor } from '../support/processes';
import { context, openTransit, servesAgain, unavailable, wrapOne } from '../support/transit';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy';
import { useRealDeadlines } from '../support/settings';

useRealDeadlines();

beforeAll(() => {
  Logger.overrideLogger(false);
});

const HOMES = {
  transit: (bao: Bao): Promise<MasterKey> => openTransit(bao),
  // No copy is kept: each use asks Vault.
  kv: (bao: Bao): Promise<MasterKey> => openKv(bao, { maxAgeMs: 0 }),
};
const OUTAGES: [string, FaultProxy['mode']][] = [
  ['rate-limited (429)', { status: 429 }],
  ['sealed (503)', { status: 503 }],
  ['a standby without an active node (474)', { status: 474 }],
  ['a standby that redirects (307)', { status: 307 }],
  ['failing (500)', { status: 500 }],
  ['slow (30 s)', { delayMs: 30_000 }],
];
const policy = (text: string) => ({ policy: text });

describe.each(['transit', 'kv'] as const)('With the master key in %s', (kind) => {
  describeWithPart('openbao', 'a Vault', () => {
    let real: Bao;
    let bao: Bao;
    let proxy: FaultProxy;
    let master: MasterKey;
    let wrapped: WrappedKey;

    beforeAll(async () => {
      real = await startOpenBao();
      proxy = await startFaultProxy(real.address);
      bao = { ...real, address: proxy.address };
      master = await HOMES[kind](bao);
      wrapped = await wrapOne(master);
    });
    afterEach(async () => {
      proxy.mode = 'pass';
      await serves();
    });
    afterAll(async () => {
      await master.close();
      await proxy.close();
      await real.stop();
    });

    const unwrap = (): ReturnType<MasterKey['unwrap']> => master.unwrap([{ wrapped, context }]);
    const serves = (): Promise<void> => servesAgain(unwrap);
    const failure = (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => 'served',
        (error: unknown) => error,
      );
    const openTheCircuit = async (): Promise<void> => {
      for (let tries = 0; tries < 3; tries += 1) expect(await failure(unwrap())).toMatchObject(unavailable);
    };

    describe.each(kind === 'transit' ? OUTAGES : drawn('outages with KV', OUTAGES, 2))('that is %s', (_, mode) => {
      it('is kms_unavailable with a time to come again, and serves by itself once it is back', async () => {
        proxy.mode = mode;
        for (const use of [unwrap, () => wrapOne(master), () => master.rotate(99), () => master.ping()]) {
          const error = await failure(use());
          expect(error).toMatchObject(unavailable);
          expect(isDomainError(error) && error.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        }
      });

      it('is not asked by callers any more once the circuit is open', async () => {
        proxy.mode = mode;
        await openTheCircuit();
        const before = proxy.requests;
        const many = await Promise.all(Array.from({ length: 500 }, () => failure(unwrap())));
        expect(many.every((error) => isDomainError(error, 'kms_unavailable'))).toBe(true);
        // A probe may have come in between; none of the 500 did.
        expect(proxy.requests - before).toBeLessThanOrEqual(2);
      });
    });

    it('that forbids what it allowed is kms_unavailable, and serves again when the policy is back, without a restart', async () => {
      const shipped = (await real.request('GET', 'sys/policies/acl/coffer')).data['policy'] as string;
      await real.request('PUT', 'sys/policies/acl/coffer', policy('path "secret/none" {capabilities=["read"]}'));
      expect(await failure(unwrap())).toMatchObject(unavailable);
      expect(await failure(master.rotate(99))).toMatchObject(unavailable);
      await real.request('PUT', 'sys/policies/acl/coffer', policy(shipped));
      await serves();
    });
  });
});

/** A Vault that answers, and says when to come again or takes its time. */
describe.each(['transit', 'kv'] as const)('With the master key in %s', (kind) => {
  describeWithPart('openbao', 'a Vault', () => {
    let real: Bao;
    let proxy: FaultProxy;
    let master: MasterKey;
    let wrapped: WrappedKey;

    beforeAll(async () => {
      real = await startOpenBao();
    });
    beforeEach(async () => {
      proxy = await startFaultProxy(real.address);
      master = await HOMES[kind]({ ...real, address: proxy.address });
      wrapped = await wrapOne(master);
    });
    afterEach(async () => {
      await master.close();
      await proxy.close();
    });
    afterAll(() => real.stop());

    const refusal = (): Promise<unknown> =>
      master.unwrap([{ wrapped, context }]).then(
        () => 'served',
        (error: unknown) => (isDomainError(error) ? error.retryAfterSeconds : error),
      );

    it.each([
      ['what it says', '7', 7],
      ['not more than half a minute', '86400', 30],
      ['a second at least', '0', 1],
      ['the usual time where it is no number of seconds', 'Wed, 21 Oct 2026 07:28:00 GMT', 5],
    ])('that limits requests is waited for: %s', async (_, retryAfter, seconds) => {
      proxy.mode = { status: 429, retryAfter };
      expect(await refusal()).toBe(seconds);
    });

    it('that says when to come again is not asked before, by a probe either, and its word is passed on', async () => {
      proxy.mode = { status: 429, retryAfter: '30' };
      for (let tries = 0; tries < 3; tries += 1) expect(await refusal()).toBe(30);
      const before = proxy.requests;
      const refused = await refusal();
      expect(refused).toBeGreaterThan(20);
      expect(refused).toBeLessThanOrEqual(30);
      // Longer than the longest pause between two probes.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      expect(proxy.requests).toBe(before);
    });

    it('whose answers come late is waited for by the operation and not by each of its requests', async () => {
      proxy.mode = { delayMs: 700 };
      await expect(master.state()).resolves.toMatchObject({ versions: expect.any(Array) as unknown });
      // Each answer comes in time, and two of them do not.
      const { current } = await master.state();
      await expect(master.rotate(current)).rejects.toMatchObject(unavailable);
    });
  });
});

describeWithPart('openbao', 'A token that ends by itself', () => {
  let bao: Bao;
  beforeAll(async () => {
    bao = await startOpenBao({ role: { token_ttl: '1s', token_max_ttl: '2s' } });
  });
  afterAll(() => bao.stop());

  it('is replaced before or after its end, and no request sees it', async () => {
    const master = await openTransit(bao);
    const wrapped = await wrapOne(master);
    const until = Date.now() + 5000;
    while (Date.now() < until) {
      expect((await master.unwrap([{ wrapped, context }]))[0]!.ok).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await master.close();
  });
});

const answers = (bao: Bao): Promise<boolean> =>
  fetch(`${bao.address}/v1/sys/health`, { signal: AbortSignal.timeout(500) }).then(
    () => true,
    () => false,
  );

/** What goes wrong with Vault while a rotation runs, and how it ends. */
const MISHAPS: [string, (vault: { bao: Bao; proxy: FaultProxy }) => Promise<() => Promise<unknown>>][] = [
  ...OUTAGES.map(([name, mode]): (typeof MISHAPS)[number] => [
    name,
    ({ proxy }) => {
      proxy.mode = mode;
      return Promise.resolve(() => Promise.resolve((proxy.mode = 'pass')));
    },
  ]),
  [
    'away (killed)',
    async ({ bao }) => {
      await bao.kill();
      return () => bao.restart();
    },
  ],
  ['sealed by its operator', ({ bao }) => bao.seal().then(() => () => bao.unseal())],
  [
    'frozen',
    async ({ bao }) => {
      bao.pause();
      // A signal takes its time on a busy machine.
      await waitFor('Vault to stand still', async () => !(await answers(bao)));
      return () => {
        bao.resume();
        return Promise.resolve();
      };
    },
  ],
  [
    'forbidding what it allowed',
    async ({ bao }) => {
      const shipped = (await bao.request('GET', 'sys/policies/acl/coffer')).data['policy'] as string;
      await bao.request('PUT', 'sys/policies/acl/coffer', policy('path "secret/none" {capabilities=["read"]}'));
      return () => bao.request('PUT', 'sys/policies/acl/coffer', policy(shipped));
    },
  ],
];

/** A job tries again after one second, two, four: each of these costs a while. */
const JOB_MISHAPS = isLong()
  ? MISHAPS
  : MISHAPS.filter(([name]) => /rate-limited|away|operator|frozen|forbidding/.test(name));

describe.each(['transit', 'kv'] as const)('A rotation with the master key in %s', (kind) => {
  describeWithPart('openbao', 'during which Vault is', () => {
    let bao: Bao;
    let proxy: FaultProxy;
    let folder: string;
    let fixture: KeyFixture;
    // Both go through one session to Vault, which is what an outage meets.
    const of = (mishaps: typeof MISHAPS): typeof MISHAPS =>
      kind === 'transit' ? mishaps : drawn('a rotation with KV', mishaps, 2);
    const owners = Array.from({ length: 30 }, (_, at) => `owner-${at}`);

    beforeAll(async () => {
      bao = await startOpenBao();
    });
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'coffer-outage-'));
      proxy = await startFaultProxy(bao.address);
      const through = { ...bao, address: proxy.address };
      const home = kind === 'kv' ? { home: await openWrapStore(through) } : {};
      fixture = await openKeyFixture(folder, { masterKey: await HOMES[kind](through), cacheMs: 0, ...home });
      // Names of their own in each test: what lies in Vault stays there.
      const made = (owner: string) =>
        throughOutages(() => fixture.userKeys.create(`${folder}/${owner}`, nameOf(owner)));
      await Promise.all(owners.map(made));
    });
    afterEach(async () => {
      await fixture.close();
      await proxy.close();
      await rm(folder, { recursive: true, force: true });
    });
    afterAll(() => bao.stop());

    const nameOf = (owner: string): string => `${owner}.${folder.replace(/.*coffer-outage-/, '').toLowerCase()}`;
    const place = (ownerId: string) => ({ ownerId, resourceType: 'record', resourceId: 'r', field: 'f' });
    const reads = (owner: string): Promise<string> => {
      const id = `${folder}/${owner}`;
      return fixture.sealer.with(id, (keys) =>
        keys.open('records', place(id), keys.seal('records', place(id), plaintext(Buffer.from(owner)))).toString(),
      );
    };

    it.each(of(MISHAPS))(
      '%s goes on and ends when Vault is back: nothing in quarantine, nothing lost',
      async (_, mishap) => {
        const target = await fixture.masterKey.rotate((await fixture.row.read()).current);
        await fixture.row.advance(await fixture.row.read(), target);
        const { next: after } = await fixture.rewrapper.rewrapBatch(target, 10);
        const mend = await mishap({ bao, proxy });
        await expect(fixture.rewrapper.rewrapBatch(target, 10, { after })).rejects.toMatchObject(unavailable);
        await expect(reads('owner-1')).rejects.toMatchObject(unavailable);
        await mend();
        await waitFor('the rotation to go on', async () => {
          try {
            await rewrapAll(fixture, target, 10);
            return true;
          } catch (error) {
            if (isDomainError(error, 'kms_unavailable')) return false;
            throw error;
          }
        });
        expect(await fixture.rewrapper.quarantinedFor(target)).toBe(0);
        expect(await Promise.all(owners.map(reads))).toEqual(owners);
      },
    );

    it.each(of(JOB_MISHAPS))(
      '%s from the first user key on goes on by itself as the job that it is, without a restart',
      async (_, mishap) => {
        let mend: (() => Promise<unknown>) | undefined;
        const refused: unknown[] = [];
        const rewrap = fixture.masterKey.rewrap.bind(fixture.masterKey);
        // The system keys come one by one, and before the others.
        fixture.masterKey.rewrap = async (version, items) => {
          if (items.length > 1) mend ??= await mishap({ bao, proxy });
          return rewrap(version, items).catch((error: unknown) => {
            refused.push(error);
            throw error;
          });
        };
        const { id } = await fixture.rotations.rotateMasterKey('admin');
        await waitFor('the job to meet the outage', () => refused.length > 0);
        expect(refused[0]).toMatchObject(unavailable);
        expect(await fixture.rotations.find(id)).toMatchObject({ state: 'running', inEffect: true, failed: 0 });
        await mend!();
        const ended = await waitFor('the end of the rotation', async () => {
          const rotation = await fixture.rotations.find(id);
          return rotation.state === 'running' ? undefined : rotation;
        });
        expect(ended).toMatchObject({ state: 'done', total: owners.length, done: owners.length, failed: 0 });
        expect(await Promise.all(owners.map(reads))).toEqual(owners);
      },
    );
  });
});
