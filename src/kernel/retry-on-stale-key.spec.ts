import { DomainError, StaleKeyVersionError } from './errors';
import { retryOnStaleKey } from './retry-on-stale-key';

/** A read whose first `failures` runs throw `error`. */
function failing(failures: number, error: Error) {
  const made = {
    runs: 0,
    read: (): Promise<string> => {
      made.runs += 1;
      return made.runs <= failures ? Promise.reject(error) : Promise.resolve('read');
    },
  };
  return made;
}

describe('A read that meets an envelope of a key version that is gone', () => {
  it('is run again', async () => {
    expect(await retryOnStaleKey(failing(3, new StaleKeyVersionError()).read)).toBe('read');
  });

  it('is refused as decryption_failed where that goes on', async () => {
    const made = failing(99, new StaleKeyVersionError());
    await expect(retryOnStaleKey(made.read)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(made.runs).toBe(4);
  });

  it('is not run again for any other error, a damaged value included', async () => {
    const made = failing(1, new DomainError('decryption_failed'));
    await expect(retryOnStaleKey(made.read)).rejects.toMatchObject({ code: 'decryption_failed' });
    expect(made.runs).toBe(1);
  });
});
