import { Turns, mapInTurns } from './turns';

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** How many turns of the event loop `run` let others have. */
async function turnsOf(run: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await run();
  isOver = true;
  return turns;
}

describe('long work', () => {
  it('lets others have the event loop every few milliseconds', async () => {
    const turns = await turnsOf(() => mapInTurns(Array.from({ length: 20 }), () => work(3)));
    expect(turns).toBeGreaterThanOrEqual(9);
  });

  it('keeps it where there is little to do', async () => {
    const turns = new Turns();
    const seen = await turnsOf(async () => {
      for (let at = 0; at < 100; at += 1) await turns.pause();
    });
    expect(seen).toBeLessThanOrEqual(1);
  });

  it('gives the results in order, and throws what one of them throws', async () => {
    expect(await mapInTurns([1, 2, 3], (item) => Promise.resolve(item * 2))).toEqual([2, 4, 6]);
    const broken = mapInTurns([1, 2], (item) => {
      if (item === 2) throw new Error('broken');
      return item;
    });
    await expect(broken).rejects.toThrow('broken');
  });
});
