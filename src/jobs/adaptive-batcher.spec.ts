import { AdaptiveBatcher, type BatchStep } from './adaptive-batcher';

/** A job in simulated time whose steps cost what the test sets. */
function job(msPerItem: number, options: { served?: boolean; readonly fixedMs?: number } = {}) {
  let time = 0;
  let requests = 7;
  const rests: number[] = [];
  const sizes: number[] = [];
  const pace = new AdaptiveBatcher(
    { least: 25, most: 1000, first: 200 },
    {
      now: () => time,
      activity: () => requests,
      rest: (ms) => {
        rests.push(ms);
        time += ms;
        return Promise.resolve();
      },
    },
  );
  const serve = (): void => void (requests += 1);
  const pass = (ms: number): void => void (time += ms);
  const work = ({ size }: BatchStep): Promise<number> => {
    sizes.push(size);
    pass((options.fixedMs ?? 0) + size * msPerItem);
    if (options.served === true) serve();
    return Promise.resolve(size);
  };
  const run = async (steps: number): Promise<void> => {
    for (let done = 0; done < steps; done += 1) await pace.step(work);
  };
  return { run, rests, sizes, pace, serve, pass };
}

describe('The pace of a job', () => {
  it('begins with the size that it is told and gives back what the step gave', async () => {
    const { pace } = job(1);
    expect(await pace.step(({ size }) => Promise.resolve(size))).toBe(200);
  });

  it('grows to the most where nobody is served and the work is quick, and never rests', async () => {
    const { run, sizes, rests } = job(0.05);
    await run(6);
    expect([sizes.at(-1), rests]).toEqual([1000, []]);
  });

  it('grows fourfold at most, whatever one quick step says', async () => {
    const { run, sizes } = job(0);
    await run(3);
    expect(sizes).toEqual([200, 800, 1_000]);
  });

  it('finds the size that fits a slow store', async () => {
    const { run, sizes } = job(8);
    await run(8);
    expect(sizes.at(-1)).toBe(250);
  });

  it('does not go below the least, however slow the store is', async () => {
    const { run, sizes } = job(100);
    await run(10);
    expect(sizes.at(-1)).toBe(25);
  });

  it('works in small steps and rests longer than it works while requests are served', async () => {
    const { run, sizes, rests } = job(0.1, { served: true });
    await run(6);
    expect(sizes.at(-1)).toBe(40);
    expect(rests.at(-1)).toBe(8);
  });

  it('goes from the size of the long steps to that of the small ones at once', async () => {
    const options = { served: false };
    const { run, sizes } = job(0.1, options);
    await run(5);
    options.served = true;
    await run(2);
    expect(sizes.slice(-2)).toEqual([1000, 25]);
  });

  it('keeps to small steps between requests that are far apart in steps, but not in time', async () => {
    const { run, sizes, serve } = job(0.1);
    for (let round = 0; round < 4; round += 1) {
      serve();
      await run(10);
    }
    expect(Math.max(...sizes)).toBeLessThan(50);
  });

  it('rests no longer than a quarter of a second, however long the step took', async () => {
    const { run, rests } = job(100, { served: true });
    await run(3);
    expect(Math.max(...rests)).toBe(250);
  });

  it('takes up speed again a second after the last request, with the size that it had', async () => {
    const options = { served: false };
    const { run, sizes, rests, pass } = job(0.1, options);
    await run(5);
    options.served = true;
    await run(6);
    options.served = false;
    pass(1000);
    const rested = rests.length;
    await run(2);
    expect([sizes.at(-1), rests.length]).toEqual([1000, rested]);
  });

  it('tells a long step to end as soon as somebody is served', async () => {
    const { pace, serve } = job(1);
    const asked: boolean[] = [];
    await pace.step(({ goesOn }) => {
      asked.push(goesOn());
      serve();
      asked.push(goesOn(), goesOn());
      return Promise.resolve();
    });
    expect(asked).toEqual([true, false, false]);
  });

  it('lets a small step do all of its work beside others', async () => {
    const { pace, serve } = job(1);
    serve();
    await pace.step(({ goesOn }) => {
      serve();
      expect(goesOn()).toBe(true);
      return Promise.resolve();
    });
  });

  it('tells a step to end where the job is to stop', async () => {
    const { pace } = job(1);
    const stop = new AbortController();
    await pace.step(({ goesOn }) => {
      expect(goesOn()).toBe(true);
      stop.abort();
      expect(goesOn()).toBe(false);
      return Promise.resolve();
    }, stop.signal);
  });

  it('takes nothing for a company that came before it began', async () => {
    const { run, rests } = job(0.1);
    await run(1);
    expect(rests).toEqual([]);
  });

  it('lets the fault of a step through, without a rest', async () => {
    const { pace, rests } = job(1);
    await expect(pace.step(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(rests).toEqual([]);
  });
});
