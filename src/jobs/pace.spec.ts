import { Pace } from './pace';

/** A job whose steps cost what the test says, in a time of its own. */
function job(msPerItem: number, options: { readonly served?: boolean; readonly fixedMs?: number } = {}) {
  let time = 0;
  let requests = 0;
  const rests: number[] = [];
  const sizes: number[] = [];
  const pace = new Pace(
    { least: 25, most: 1000, first: 200 },
    {
      now: () => time,
      activity: () => requests,
      rest: (ms) => {
        rests.push(ms);
        return Promise.resolve();
      },
    },
  );
  const work = (size: number): Promise<number> => {
    sizes.push(size);
    time += (options.fixedMs ?? 0) + size * msPerItem;
    if (options.served === true) requests += 1;
    return Promise.resolve(size);
  };
  const run = async (steps: number): Promise<void> => {
    for (let done = 0; done < steps; done += 1) await pace.step(work);
  };
  return { run, rests, sizes, pace };
}

describe('The pace of a job', () => {
  it('begins with the size that it is told and gives back what the step gave', async () => {
    const { pace } = job(1);
    expect(await pace.step((size) => Promise.resolve(size))).toBe(200);
  });

  it('grows to the most where nobody is served and the work is quick, and never rests', async () => {
    const { run, sizes, rests } = job(0.05);
    await run(6);
    expect([sizes.at(-1), rests]).toEqual([1000, []]);
  });

  it('grows by double at most, whatever one quick step says', async () => {
    const { run, sizes } = job(0);
    await run(3);
    expect(sizes).toEqual([200, 400, 800]);
  });

  it('finds the size that fits a slow store', async () => {
    const { run, sizes } = job(2);
    await run(8);
    expect(sizes.at(-1)).toBe(50);
  });

  it('does not go below the least, however slow the store is', async () => {
    const { run, sizes } = job(100);
    await run(10);
    expect(sizes.at(-1)).toBe(25);
  });

  it('works in small steps and rests longer than it works while requests are served', async () => {
    const { run, sizes, rests } = job(0.1, { served: true });
    await run(6);
    expect(sizes.at(-1)).toBe(80);
    expect(rests.at(-1)).toBe(16);
  });

  it('rests no longer than a quarter of a second, however long the step took', async () => {
    const { run, rests } = job(100, { served: true });
    await run(3);
    expect(Math.max(...rests)).toBe(250);
  });

  it('takes up speed again when nobody is served any more', async () => {
    const options = { served: true };
    const { run, sizes, rests } = job(0.1, options);
    await run(6);
    options.served = false;
    const rested = rests.length;
    await run(8);
    expect([sizes.at(-1), rests.length]).toEqual([1000, rested]);
  });

  it('lets the fault of a step through, without a rest', async () => {
    const { pace, rests } = job(1);
    await expect(pace.step(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(rests).toEqual([]);
  });
});
