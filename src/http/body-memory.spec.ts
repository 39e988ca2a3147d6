import { BodyMemory, BodyRoom } from './body-memory';

const KIB = 1024;

/** Bodies by label, and the aborted ones in order. */
function bodies(most: number) {
  const memory = new BodyMemory(most);
  const givenUp: string[] = [];
  const open = (address: string | undefined, label: string): BodyRoom =>
    memory.open(address, () => void givenUp.push(label));
  return { memory, givenUp, open };
}

describe('the memory of bodies', () => {
  it('is given back when a body is read, once', () => {
    const { memory, open } = bodies(64 * KIB);
    const body = open('a', 'a0');
    expect(body.grow(KIB)).toBe(true);
    expect(memory.bytes).toBe(KIB);
    body.close();
    body.close();
    expect(memory.bytes).toBe(0);
  });

  it("is one address's to an eighth at most, a backend's as a whole", () => {
    const { open } = bodies(64 * KIB);
    expect(open('a', 'a0').grow(6 * KIB)).toBe(true);
    expect(open('a', 'a1').grow(3 * KIB)).toBe(false);
    expect(open('b', 'b0').grow(3 * KIB)).toBe(true);
    expect(open(undefined, 'backend').grow(40 * KIB)).toBe(true);
  });

  it('is made free by the newest body of whoever holds most, and never over the bound', () => {
    const { memory, givenUp, open } = bodies(64 * KIB);
    for (const at of [0, 1, 2, 3]) open(undefined, `backend${at}`).grow(15 * KIB);
    for (const label of ['a', 'b', 'c']) expect(open(label, label).grow(8 * KIB)).toBe(true);
    expect(givenUp).toEqual(['backend3', 'backend2']);
    expect(memory.bytes).toBeLessThanOrEqual(64 * KIB);
  });

  it('may give up the body that asks', () => {
    const { givenUp, open } = bodies(8 * KIB);
    const body = open(undefined, 'large');
    body.grow(9 * KIB);
    expect(givenUp).toEqual(['large']);
  });
});
