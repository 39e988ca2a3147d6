import { ciphertext, SecretBytes } from '../../kernel';
import { KeyCache } from './key-cache';
import { OpenedUserKey } from './user-key-handle';

/** An owner's key whose one version tells whether it has been zeroed. */
class Sample {
  readonly bytes = Buffer.alloc(32, 7);
  readonly key: OpenedUserKey;

  constructor(ownerId: string, epoch = 1) {
    const keys = new Map([[1, new SecretBytes(this.bytes)]]);
    this.key = new OpenedUserKey({ ownerId, epoch, current: 1, keys, wrappedNameKey: ciphertext(Buffer.alloc(0)) });
  }

  get zeroed(): boolean {
    return this.bytes.every((byte) => byte === 0);
  }

  readonly load = (): Promise<OpenedUserKey> => Promise.resolve(this.key);
}

/** A promise that is settled by the test. */
function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void; fail: (error: Error) => void } {
  let open!: (value: T) => void;
  let fail!: (error: Error) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

const never = (): Promise<OpenedUserKey> => Promise.reject(new Error('must not be loaded'));
const nothing = (): void => undefined;

describe('The cache of user keys', () => {
  it('keeps a key for the next one who asks', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const alice = new Sample('alice');
    await cache.use('alice', 1, alice.load, nothing);
    expect(await cache.use('alice', 1, never, (key) => key === alice.key)).toBe(true);
    cache.clear();
  });

  it('loads once for all who ask at the same time', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const alice = new Sample('alice');
    let loads = 0;
    const load = (): Promise<OpenedUserKey> => {
      loads += 1;
      return alice.load();
    };
    await Promise.all(Array.from({ length: 50 }, () => cache.use('alice', 1, load, nothing)));
    expect(loads).toBe(1);
    cache.clear();
  });

  it('does not keep a failure: all who waited get it, and the next one tries again', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const flight = gate<OpenedUserKey>();
    const waiting = [1, 2].map(() => cache.use('alice', 1, () => flight.promise, nothing));
    flight.fail(new Error('away'));
    const results = await Promise.allSettled(waiting);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await cache.use('alice', 1, new Sample('alice').load, nothing);
    cache.clear();
  });

  it('does not keep a failure of a load that throws before it waits', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const load = (): Promise<OpenedUserKey> => {
      throw new Error('at once');
    };
    await expect(cache.use('alice', 1, load, nothing)).rejects.toThrow('at once');
    await cache.use('alice', 1, new Sample('alice').load, nothing);
    cache.clear();
  });

  it('never zeroes a key under the hands of one who works with it, and does so at the last release', async () => {
    const cache = new KeyCache({ capacity: 1, maxAgeMs: 60_000 });
    const [alice, bob] = [new Sample('alice'), new Sample('bob')];
    const [first, second] = [gate(), gate()];
    const uses = [first, second].map((held) => cache.use('alice', 1, alice.load, () => held.promise));
    await cache.use('bob', 1, bob.load, nothing); // evicts alice
    first.open();
    await uses[0];
    expect(alice.zeroed).toBe(false);
    second.open();
    await uses[1];
    expect(alice.zeroed).toBe(true);
    cache.clear();
  });

  it('serves many owners in parallel with room for one, and zeroes all but the last', async () => {
    const cache = new KeyCache({ capacity: 1, maxAgeMs: 60_000 });
    const samples: Sample[] = [];
    const work = async (owner: string): Promise<void> => {
      const load = (): Promise<OpenedUserKey> => {
        const sample = new Sample(owner);
        samples.push(sample);
        return sample.load();
      };
      await cache.use(owner, 1, load, async (key) => {
        for (let step = 0; step < 5; step += 1) {
          await new Promise(setImmediate);
          expect(key.subkey(1, 'records').length).toBe(32);
        }
      });
    };
    const owners = Array.from({ length: 200 }, (_, at) => `owner-${at % 7}`);
    await Promise.all(owners.map(work));
    expect(samples.filter(({ zeroed }) => !zeroed)).toHaveLength(1);
    cache.clear();
    expect(samples.filter(({ zeroed }) => !zeroed)).toHaveLength(0);
  });

  it('zeroes derived keys together with the key', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const subkey = await cache.use('alice', 1, new Sample('alice').load, (key) => key.subkey(1, 'secrets'));
    cache.drop('alice');
    expect(() => subkey.bytes).toThrow(TypeError);
  });

  it('releases a key whose user threw', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 0 });
    const alice = new Sample('alice');
    const use = (): never => {
      throw new Error('of the user');
    };
    await expect(cache.use('alice', 1, alice.load, use)).rejects.toThrow('of the user');
    expect(alice.zeroed).toBe(true);
  });

  describe('when the epoch of the row has moved', () => {
    it('gives the former key to nobody, and zeroes it', async () => {
      const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
      const [former, next] = [new Sample('alice', 1), new Sample('alice', 2)];
      await cache.use('alice', 1, former.load, nothing);
      expect(await cache.use('alice', 2, next.load, (key) => key === next.key)).toBe(true);
      expect(former.zeroed).toBe(true);
      cache.clear();
    });

    it('does not share one load between the epochs', async () => {
      const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
      const flight = gate<OpenedUserKey>();
      const slow = cache.use(
        'alice',
        1,
        () => flight.promise,
        (key) => key.epoch,
      );
      expect(await cache.use('alice', 2, new Sample('alice', 2).load, (key) => key.epoch)).toBe(2);
      flight.open(new Sample('alice', 1).key);
      expect(await slow).toBe(1);
      cache.clear();
    });

    it('keeps the newer key when an older one arrives late, and zeroes the late one', async () => {
      const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
      const late = new Sample('alice', 1);
      const flight = gate<OpenedUserKey>();
      const slow = cache.use('alice', 1, () => flight.promise, nothing);
      await cache.use('alice', 2, new Sample('alice', 2).load, nothing);
      flight.open(late.key);
      await slow;
      expect(late.zeroed).toBe(true);
      expect(await cache.use('alice', 2, never, (key) => key.epoch)).toBe(2);
      cache.clear();
    });
  });

  it('does not keep a key that was dropped while it was being unwrapped', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 60_000 });
    const alice = new Sample('alice');
    const flight = gate<OpenedUserKey>();
    const use = cache.use(
      'alice',
      1,
      () => flight.promise,
      (key) => key.subkey(1, 'records').length,
    );
    cache.drop('alice');
    flight.open(alice.key);
    expect(await use).toBe(32);
    expect({ zeroed: alice.zeroed, size: cache.size }).toEqual({ zeroed: true, size: 0 });
  });

  it('keeps nothing with an age of 0, but still loads once for all who ask at the same time', async () => {
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 0 });
    const alice = new Sample('alice');
    const use = (): Promise<number> => cache.use('alice', 1, alice.load, (key) => key.subkey(1, 'records').length);
    expect(await Promise.all([use(), use()])).toEqual([32, 32]);
    expect({ zeroed: alice.zeroed, size: cache.size }).toEqual({ zeroed: true, size: 0 });
  });

  it('does not serve a key beyond its age, however often it is used', async () => {
    let now = 1;
    const cache = new KeyCache({ capacity: 10, maxAgeMs: 1_000, now: () => now });
    const [first, second] = [new Sample('alice'), new Sample('alice')];
    await cache.use('alice', 1, first.load, nothing);
    now = 1_000;
    await cache.use('alice', 1, never, nothing);
    now = 1_002;
    expect(await cache.use('alice', 1, second.load, (key) => key === second.key)).toBe(true);
    expect(first.zeroed).toBe(true);
    cache.clear();
  });

  it('zeroes a key when its time is over although nobody asks', async () => {
    jest.useFakeTimers();
    try {
      const cache = new KeyCache({ capacity: 10, maxAgeMs: 1_000, now: () => Date.now() });
      const alice = new Sample('alice');
      await cache.use('alice', 1, alice.load, nothing);
      await jest.advanceTimersByTimeAsync(1_100);
      expect(alice.zeroed).toBe(true);
    } finally {
      jest.useRealTimers();
    }
  });
});
