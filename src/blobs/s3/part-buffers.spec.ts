import { LEAST_PART_BYTES, MOST_PARTS, PART_PLAN, PartBuffer, PartMemory } from './part-buffers';
const MIB = 1024 * 1024;
const TIB = 1024 * 1024 * MIB;
/** Of each frame of 64 KiB: sequence number, nonce, tag. */
const FRAME_OVERHEAD = 32;
const HEADER = 64 * 1024;

describe('the plan of parts', () => {
  const bytesIn = (parts: number): number => {
    let left = parts;
    return PART_PLAN.reduce((sum, sizes) => {
      const taken = Math.min(left, sizes.parts);
      left -= taken;
      return sum + taken * sizes.bytes;
    }, 0);
  };

  it('has no more parts than S3 takes, and none smaller than S3 takes', () => {
    expect(PART_PLAN.reduce((sum, { parts }) => sum + parts, 0)).toBe(MOST_PARTS);
    for (const { bytes } of PART_PLAN) expect(bytes).toBeGreaterThanOrEqual(LEAST_PART_BYTES);
  });

  it('holds the message of a file of 1 TiB, the largest of the product', () => {
    const message = TIB + (TIB / 65_536) * FRAME_OVERHEAD + HEADER;
    expect(bytesIn(MOST_PARTS)).toBeGreaterThan(message);
  });

  it('never lets a part be smaller than one before', () => {
    const sizes = PART_PLAN.map(({ bytes }) => bytes);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  });

  it('takes 350 MiB at most for all puts together, and 30 MiB for those of up to 4.8 GiB', () => {
    const memory = PART_PLAN.map(({ bytes, buffers }) => bytes * buffers);
    expect(memory.reduce((sum, bytes) => sum + bytes, 0)).toBe(350 * MIB);
    expect(memory[0]).toBe(30 * MIB);
    expect(bytesIn(PART_PLAN[0]!.parts)).toBeGreaterThan(4.8 * 1024 * MIB);
  });
});

describe('the memory of parts', () => {
  const SMALL = { parts: 2, bytes: LEAST_PART_BYTES, buffers: 1, patience: 20, spare: LEAST_PART_BYTES };
  const LARGE = { parts: 1, bytes: LEAST_PART_BYTES + MIB, buffers: 1, patience: 60_000, spare: LEAST_PART_BYTES };
  const size = async (part: Promise<PartBuffer>): Promise<number> => (await part).bytes.length;

  it('gives a buffer of the size that the number has in the plan', async () => {
    const sizes = [{ ...SMALL, buffers: 2 }, LARGE];
    const memory = new PartMemory(sizes);
    const given = await Promise.all([1, 2, 3].map((number) => size(memory.take(number))));
    expect(given).toEqual([SMALL.bytes, SMALL.bytes, LARGE.bytes]);
  });

  it('refuses a part beyond the last as too large', async () => {
    await expect(new PartMemory([SMALL, LARGE]).take(4)).rejects.toMatchObject({ code: 'too_large' });
    await expect(new PartMemory().take(MOST_PARTS + 1)).rejects.toMatchObject({ code: 'too_large' });
  });

  it('hands the same memory on, in the order of asking', async () => {
    const memory = new PartMemory([{ ...SMALL, patience: 60_000 }]);
    const first = await memory.take(1);
    const order: string[] = [];
    const second = memory.take(1).then((part) => (order.push('second'), part));
    const third = memory.take(1).then((part) => (order.push('third'), part));
    first.give(true);
    expect((await second).bytes).toBe(first.bytes);
    (await second).give(true);
    expect((await third).bytes).toBe(first.bytes);
    expect(order).toEqual(['second', 'third']);
  });

  it('never hands on memory from which a socket may still be sending', async () => {
    const memory = new PartMemory([SMALL]);
    const first = await memory.take(1);
    first.give(false);
    expect((await memory.take(1)).bytes).not.toBe(first.bytes);
  });

  it('gives who waited long enough for a large part one of the least size, and no more of the large ones', async () => {
    const memory = new PartMemory([{ ...LARGE, patience: 20 }]);
    const held = await memory.take(1);
    const spare = await memory.take(1);
    expect(spare.bytes).toHaveLength(LEAST_PART_BYTES);
    spare.give(true);
    expect(await size(memory.take(1))).toBe(LEAST_PART_BYTES);
    held.give(true);
    expect(await size(memory.take(1))).toBe(LARGE.bytes);
  });

  it('keeps no large memory when nobody uses it', async () => {
    const memory = new PartMemory([LARGE]);
    const first = await memory.take(1);
    first.give(true);
    expect((await memory.take(1)).bytes).not.toBe(first.bytes);
  });
});
