import { ByteRate } from './scrub.job';

/** A time that only waiting moves on. */
function paced(bytesPerSecond: number): { rate: ByteRate; time: { now: number; waits: number } } {
  const time = { now: 1_000, waits: 0 };
  const pause = (ms: number): Promise<void> => {
    time.now += ms;
    time.waits += 1;
    return Promise.resolve();
  };
  return { rate: new ByteRate(bytesPerSecond, () => time.now, pause), time };
}

describe('a rate of bytes', () => {
  it('takes as long for a number of bytes as its rate says', async () => {
    const { rate, time } = paced(1_000_000);
    for (let n = 0; n < 1_000; n += 1) await rate.spend(10_000);
    expect(time.now - 1_000).toBeGreaterThanOrEqual(9_980);
    expect(time.now - 1_000).toBeLessThanOrEqual(10_000);
  });

  it('gives no credit for a time in which nothing was spent', async () => {
    const { rate, time } = paced(1_000);
    await rate.spend(1_000);
    time.now += 3_600_000;
    const before = time.now;
    await rate.spend(5_000);
    expect(time.now - before).toBe(5_000);
  });

  it('does not wait for what is too little to be waited for', async () => {
    const { rate, time } = paced(1_000_000);
    for (let n = 0; n < 19; n += 1) await rate.spend(1_000);
    expect(time.waits).toBe(0);
    await rate.spend(1_000);
    expect(time.waits).toBe(1);
  });
});
