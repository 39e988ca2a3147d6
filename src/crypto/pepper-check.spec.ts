import { pepperCheck } from './pepper-check';

describe('the check value of a pepper', () => {
  it('is the same for the same pepper of the same installation, and for nothing else', async () => {
    const value = await pepperCheck('a pepper', 'ours');
    expect(await pepperCheck('a pepper', 'ours')).toBe(value);
    expect(await pepperCheck('a pepper', 'theirs')).not.toBe(value);
    expect(await pepperCheck('another pepper', 'ours')).not.toBe(value);
    expect(value).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  });
});
