import { KeyedMutex } from './keyed-mutex';

describe('KeyedMutex', () => {
  it('runs work on one key one after the other, in the order it came', async () => {
    const queue = new KeyedMutex();
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
    };
    await Promise.all([queue.run('key', work('first')), queue.run('key', work('second'))]);
    expect(seen).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });

  it('goes on after work that failed, and gives each caller its own outcome', async () => {
    const queue = new KeyedMutex();
    const failed = queue.run('key', () => Promise.reject(new Error('no')));
    const after = queue.run('key', () => Promise.resolve('yes'));
    await expect(failed).rejects.toThrow('no');
    await expect(after).resolves.toBe('yes');
  });

  it('does not let one key wait for another', async () => {
    const queue = new KeyedMutex();
    let release = (): void => undefined;
    const held = queue.run('held', () => new Promise<void>((resolve) => (release = resolve)));
    await expect(queue.run('free', () => Promise.resolve('ran'))).resolves.toBe('ran');
    release();
    await held;
  });
});
