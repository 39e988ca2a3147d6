import { isDomainError, SecretBytes, type WrappedKey } from '../../src/kernel';
import { type MasterKey, MAX_BATCH, type UnwrapItem, wrapContext } from '../../src/keys/master-key';

export interface MasterKeyHome {
  /** The home as one more process sees it, opened. */
  open(): Promise<MasterKey>;
  close(): Promise<void>;
}

const key = (fill: number): SecretBytes => new SecretBytes(Buffer.alloc(32, fill));
const contextOf = (owner: string, version = 1): Buffer => wrapContext('user-key', owner, version);
const hex = (bytes: SecretBytes): string => bytes.bytes.toString('hex');
const kmsUnavailable = (error: unknown): boolean => isDomainError(error, 'kms_unavailable');

async function wrapOne(home: MasterKey, version: number, owner = 'alice', fill = 7): Promise<WrappedKey> {
  const [wrapped] = await home.wrap(version, [{ key: key(fill), context: contextOf(owner) }]);
  return wrapped!;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** What every home of the master key must do. */
export function masterKeyContract(name: string, start: () => Promise<MasterKeyHome>): void {
  describe(`master key: ${name}`, () => {
    let home: MasterKeyHome;
    let master: MasterKey;
    let current: number;

    beforeAll(async () => {
      home = await start();
      master = await home.open();
    });
    beforeEach(async () => {
      current = (await master.state()).current;
    });
    afterAll(async () => {
      await master.close();
      await home.close();
    });

    const opens = async (wrapped: WrappedKey, context: Buffer): Promise<boolean> =>
      (await master.unwrap([{ wrapped, context }]))[0]!.ok;

    it('gives back the key that was wrapped', async () => {
      const wrapped = await wrapOne(master, current, 'alice', 9);
      const [result] = await master.unwrap([{ wrapped, context: contextOf('alice') }]);
      expect(result!.ok && hex(result!.value)).toBe(hex(key(9)));
    });

    it('says which version wrapped a key', async () => {
      expect((await wrapOne(master, current)).masterVersion).toBe(current);
    });

    it('never wraps one key twice to the same bytes', async () => {
      const items = [1, 2].map(() => ({ key: key(7), context: contextOf('alice') }));
      const [first, second] = await master.wrap(current, items);
      expect(first!.ciphertext).not.toBe(second!.ciphertext);
    });

    it('keeps the order of a batch of 200 in wrap, rewrap and unwrap', async () => {
      const owners = Array.from({ length: MAX_BATCH }, (_, at) => `owner-${at}`);
      const wrapped = await master.wrap(
        current,
        owners.map((owner, at) => ({ key: key(at), context: contextOf(owner) })),
      );
      const items = owners.map((owner, at) => ({ wrapped: wrapped[at]!, context: contextOf(owner) }));
      const again = (await master.rewrap(current, items)).map((result, at) => ({
        wrapped: result.ok ? result.value : wrapped[at]!,
        context: contextOf(owners[at]!),
      }));
      const opened = await master.unwrap(again);
      expect(opened.map((result) => result.ok && hex(result.value))).toEqual(owners.map((_, at) => hex(key(at))));
    });

    it('takes an empty batch for nothing to do', async () => {
      expect([await master.wrap(current, []), await master.unwrap([]), await master.rewrap(current, [])]).toEqual([
        [],
        [],
        [],
      ]);
    });

    it('refuses more than 200 items as a mistake of the caller', async () => {
      const items = Array.from({ length: MAX_BATCH + 1 }, () => ({ key: key(1), context: contextOf('alice') }));
      await expect(master.wrap(current, items)).rejects.toBeInstanceOf(TypeError);
    });

    describe('a wrap that is not what its row says', () => {
      /** One item that must be refused between two that must not be. */
      const refusals = async (bad: UnwrapItem): Promise<{ unwrap: boolean[]; rewrap: boolean[] }> => {
        const good = { wrapped: await wrapOne(master, current), context: contextOf('alice') };
        const items = [good, bad, good];
        return {
          unwrap: (await master.unwrap(items)).map(({ ok }) => ok),
          rewrap: (await master.rewrap(current, items)).map(({ ok }) => ok),
        };
      };
      const refusedAlone = { unwrap: [true, false, true], rewrap: [true, false, true] };

      it('is refused alone where it belongs to another owner', async () => {
        const wrapped = await wrapOne(master, current, 'alice');
        expect(await refusals({ wrapped, context: contextOf('mallory') })).toEqual(refusedAlone);
      });

      it('is refused alone where it belongs to another version of the owner key', async () => {
        const wrapped = await wrapOne(master, current, 'alice');
        expect(await refusals({ wrapped, context: contextOf('alice', 2) })).toEqual(refusedAlone);
      });

      it('is refused alone where it was wrapped for another purpose', async () => {
        const wrapped = await wrapOne(master, current, 'installation');
        expect(await refusals({ wrapped, context: wrapContext('integrity', 'installation', 1) })).toEqual(refusedAlone);
      });

      it('is refused alone where the row claims another master key version', async () => {
        await master.rotate(current);
        const { ciphertext } = await wrapOne(master, current);
        const wrapped = { masterVersion: current + 1, ciphertext };
        expect(await refusals({ wrapped, context: contextOf('alice') })).toEqual(refusedAlone);
      });

      it('is refused alone where its own version was changed', async () => {
        await master.rotate(current);
        const { ciphertext } = await wrapOne(master, current);
        const swapped = ciphertext.replace(`:v${current}:`, `:v${current + 1}:`);
        const wrapped = { masterVersion: current + 1, ciphertext: swapped };
        expect(await refusals({ wrapped, context: contextOf('alice') })).toEqual(refusedAlone);
      });

      it('is refused alone where one bit is flipped', async () => {
        const { ciphertext } = await wrapOne(master, current);
        const [prefix, version, sealed] = ciphertext.split(':');
        const bytes = Buffer.from(sealed!, 'base64');
        bytes[bytes.length - 1]! ^= 1;
        const wrapped = { masterVersion: current, ciphertext: [prefix, version, bytes.toString('base64')].join(':') };
        expect(await refusals({ wrapped, context: contextOf('alice') })).toEqual(refusedAlone);
      });

      it.each([
        '',
        'x',
        'vault:v1:',
        'local:v1:',
        'vault:v1:AAAA',
        'local:v1:AAAA',
        'vault:v0:AAAA',
        'local:v01:AAAA',
        '{}',
      ])('is refused alone where it is %j', async (ciphertext) => {
        const wrapped = { masterVersion: 1, ciphertext };
        expect(await refusals({ wrapped, context: contextOf('alice') })).toEqual(refusedAlone);
      });

      it('is refused alone where its version does not exist', async () => {
        const { ciphertext } = await wrapOne(master, current);
        const wrapped = { masterVersion: 999, ciphertext: ciphertext.replace(`:v${current}:`, ':v999:') };
        expect(await refusals({ wrapped, context: contextOf('alice') })).toEqual(refusedAlone);
      });

      it('is refused for every item where all of them are bad', async () => {
        const wrapped = await wrapOne(master, current, 'alice');
        const items = Array.from({ length: MAX_BATCH }, () => ({ wrapped, context: contextOf('mallory') }));
        expect((await master.unwrap(items)).filter(({ ok }) => ok)).toEqual([]);
        expect((await master.rewrap(current, items)).filter(({ ok }) => ok)).toEqual([]);
      });
    });

    describe('rotation', () => {
      it('makes the version that follows the expected one', async () => {
        expect(await master.rotate(current)).toBe(current + 1);
        expect((await master.state()).current).toBe(current + 1);
      });

      it('makes nothing where the home is past the expected version already', async () => {
        const made = await master.rotate(current);
        expect(await master.rotate(current)).toBe(made);
        expect((await master.state()).current).toBe(made);
      });

      it('lists all versions, oldest first, with the time they were made', async () => {
        await master.rotate(current);
        const { versions } = await master.state();
        expect(versions.map(({ version }) => version)).toEqual(versions.map((_, at) => at + 1));
        expect(versions.every(({ createdAt }) => Math.abs(createdAt - Date.now()) < 3_600_000)).toBe(true);
      });

      it('leaves what the former version wrapped open', async () => {
        const wrapped = await wrapOne(master, current);
        await master.rotate(current);
        expect(await opens(wrapped, contextOf('alice'))).toBe(true);
      });

      it('wraps with the version that the caller names, although there is a newer one', async () => {
        await master.rotate(current);
        expect((await wrapOne(master, current)).masterVersion).toBe(current);
      });

      it('wraps again with the version that the caller names, although there is a newer one', async () => {
        const wrapped = await wrapOne(master, current);
        const target = await master.rotate(current);
        await master.rotate(target);
        const [result] = await master.rewrap(target, [{ wrapped, context: contextOf('alice') }]);
        expect(result!.ok && result!.value.masterVersion).toBe(target);
        expect(result!.ok && (await opens(result!.value, contextOf('alice')))).toBe(true);
      });

      it('keeps the context of a wrap through a rewrap', async () => {
        const wrapped = await wrapOne(master, current, 'alice');
        const target = await master.rotate(current);
        const [result] = await master.rewrap(target, [{ wrapped, context: contextOf('alice') }]);
        expect(result!.ok && (await opens(result!.value, contextOf('mallory')))).toBe(false);
      });

      it('takes a wrap with a version that does not exist for an outage', async () => {
        expect(kmsUnavailable(await failure(wrapOne(master, current + 50)))).toBe(true);
      });

      it('takes a rewrap to a version that does not exist for an outage, not for a fault of the items', async () => {
        const item = { wrapped: await wrapOne(master, current), context: contextOf('alice') };
        expect(kmsUnavailable(await failure(master.rewrap(current + 50, [item])))).toBe(true);
      });
    });

    describe('several processes', () => {
      it('open what the others wrapped with a version that they have not seen', async () => {
        const other = await home.open();
        const made = await other.rotate(current);
        const wrapped = await wrapOne(other, made);
        await other.close();
        expect(await opens(wrapped, contextOf('alice'))).toBe(true);
      });

      it('open one home at the same time and find one key', async () => {
        const others = await Promise.all([1, 2, 3, 4].map(() => home.open()));
        const states = await Promise.all(others.map((other) => other.state()));
        expect(new Set(states.map((state) => state.current)).size).toBe(1);
        await Promise.all(others.map((other) => other.close()));
      });
    });

    // Last: versions do not come back.
    describe('retiring', () => {
      it('refuses the newest version as a mistake of the caller', async () => {
        await expect(master.retire(current)).rejects.toBeInstanceOf(TypeError);
        await expect(master.retire(current + 1)).rejects.toBeInstanceOf(TypeError);
        expect(await opens(await wrapOne(master, current), contextOf('alice'))).toBe(true);
      });

      it('ends a version for unwrap and rewrap, in this process and in others, and none after it', async () => {
        const ended = await wrapOne(master, current);
        const target = await master.rotate(current);
        const kept = await wrapOne(master, target);
        const other = await home.open();
        await master.retire(current);
        const items = [ended, kept].map((wrapped) => ({ wrapped, context: contextOf('alice') }));
        expect((await master.unwrap(items)).map(({ ok }) => ok)).toEqual([false, true]);
        expect((await master.rewrap(target, items)).map(({ ok }) => ok)).toEqual([false, true]);
        await other.close();
        const later = await home.open();
        expect((await later.unwrap(items)).map(({ ok }) => ok)).toEqual([false, true]);
        await later.close();
      });

      it('ends every earlier version with it, and lists what is left', async () => {
        const target = await master.rotate(current);
        await master.retire(current);
        expect((await master.state()).versions.map(({ version }) => version)).toEqual([target]);
        expect((await master.state()).current).toBe(target);
      });

      it('may be repeated, and an earlier version named later changes nothing', async () => {
        const target = await master.rotate(current);
        for (const version of [current, current, 1]) await master.retire(version);
        expect((await master.state()).versions.map(({ version }) => version)).toEqual([target]);
      });

      it('holds where several processes do it at the same time as one rotates', async () => {
        const target = await master.rotate(current);
        const others = await Promise.all([1, 2, 3].map(() => home.open()));
        const all = await Promise.allSettled([
          ...others.map((other) => other.retire(current)),
          others[0]!.rotate(target),
        ]);
        // A home may be too busy to answer one of them; then it is asked again.
        const faults = all.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
        expect(faults.filter((fault) => !kmsUnavailable(fault))).toEqual([]);
        await master.retire(current);
        await master.rotate(target);
        await Promise.all(others.map((other) => other.close()));
        expect((await master.state()).versions.map(({ version }) => version)).toEqual([target, target + 1]);
      });

      it('does not let a version be used for new wraps', async () => {
        await master.rotate(current);
        await master.retire(current);
        expect(kmsUnavailable(await failure(wrapOne(master, current)))).toBe(true);
      });
    });
  });
}
